// PostgreSQL's protocol 3, as little of it as a small service needs: trust authentication, values as text, one query at a
// time on each connection, and a pool of connections.
//
// Source: PostgreSQL documentation, "Frontend/Backend Protocol", message formats. A message is a type byte, a length that
// counts itself, and a body; the first message of a connection has no type byte.

import { connect } from "node:net";

const PROTOCOL_3 = 196608;
const ANSWER_WITHIN_MS = 3000; // also what bounds the wait for a free connection: each is given back by then

export class Connection {
  broken = false;
  #socket;
  #held = Buffer.alloc(0);
  #running = null; // the query whose answer is awaited

  /** A connection that is ready for queries; rejects when there is none to be had in time. */
  static async open(url) {
    const { hostname, port, username, pathname } = new URL(url);
    const connection = new Connection();
    connection.#socket = connect({ host: hostname, port: Number(port), noDelay: true });
    connection.#socket.on("data", (data) => connection.#read(data));
    connection.#socket.on("error", (error) => connection.#break(error));
    connection.#socket.on("close", () => connection.#break(new Error("the database closed the connection")));
    const parameters = ["user", username, "database", pathname.slice(1), ""].map(text);
    await connection.#ask(message("", int32(PROTOCOL_3), ...parameters));
    return connection;
  }

  /** The rows of one statement, as objects of strings. What is named $1, $2, … never becomes part of the SQL. */
  query(sql, ...values) {
    if (values.length === 0) return this.#ask(message("Q", text(sql)));
    const bound = values.flatMap((value) => {
      const bytes = Buffer.from(String(value));
      return [int32(bytes.length), bytes];
    });
    return this.#ask(
      Buffer.concat([
        message("P", text(""), text(sql), int16(0)),
        message("B", text(""), text(""), int16(0), int16(values.length), ...bound, int16(0)),
        message("D", Buffer.from("P"), text("")),
        message("E", text(""), int32(0)),
        message("S"),
      ]),
    );
  }

  close() {
    this.#break(new Error("the connection was closed"));
  }

  #ask(bytes) {
    return new Promise((resolve, reject) => {
      if (this.broken) return reject(new Error("the connection is broken"));
      const late = () => this.#break(new Error(`no answer from the database in ${ANSWER_WITHIN_MS} ms`));
      this.#running = { resolve, reject, names: [], rows: [], error: null, timer: setTimeout(late, ANSWER_WITHIN_MS) };
      this.#socket.write(bytes);
    });
  }

  #read(data) {
    this.#held = Buffer.concat([this.#held, data]);
    while (this.#held.length >= 5 && this.#held.length > this.#held.readUInt32BE(1)) {
      const length = this.#held.readUInt32BE(1);
      const kind = String.fromCharCode(this.#held[0]);
      const body = this.#held.subarray(5, length + 1);
      this.#held = this.#held.subarray(length + 1);
      if (this.#running) this.#heard(kind, body, this.#running);
    }
  }

  #heard(kind, body, query) {
    if (kind === "R" && body.readInt32BE(0) !== 0) this.#break(new Error("only trust authentication is spoken here"));
    if (kind === "T") query.names = columns(body);
    if (kind === "D") query.rows.push(Object.fromEntries(fields(body).map((field, n) => [query.names[n], field])));
    if (kind === "E") query.error = new Error(body.toString("utf8").replaceAll("\0", " "));
    if (kind !== "Z") return;
    this.#running = null;
    clearTimeout(query.timer);
    if (query.error) query.reject(query.error);
    else query.resolve(query.rows);
  }

  #break(error) {
    this.broken = true;
    this.#socket.destroy();
    const query = this.#running;
    this.#running = null;
    if (!query) return;
    clearTimeout(query.timer);
    query.reject(query.error ?? error);
  }
}

export class Pool {
  #url;
  #free;
  #idle = [];
  #waiting = [];

  constructor(url, size) {
    this.#url = url;
    this.#free = size;
  }

  /** What `work` returns, once its transaction is committed. On any error it is rolled back, or its connection closed. */
  async transaction(work) {
    const connection = await this.#take();
    try {
      await connection.query("BEGIN");
      const result = await work(connection);
      await connection.query("COMMIT");
      return result;
    } catch (error) {
      await connection.query("ROLLBACK").catch(() => connection.close());
      throw error;
    } finally {
      this.#give(connection);
    }
  }

  async #take() {
    if (this.#free === 0) await new Promise((resolve) => this.#waiting.push(resolve));
    else this.#free -= 1;
    const idle = this.#idle.pop();
    if (idle && !idle.broken) return idle;
    try {
      return await Connection.open(this.#url);
    } catch (error) {
      this.#pass();
      throw error;
    }
  }

  #give(connection) {
    if (!connection.broken) this.#idle.push(connection);
    this.#pass();
  }

  #pass() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free += 1;
  }
}

function message(kind, ...parts) {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from(kind), int32(body.length + 4), body]);
}

function text(value) {
  return Buffer.from(`${value}\0`);
}

function int16(value) {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

function int32(value) {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

/** The names in a row description: each is followed by 18 bytes about its column. */
function columns(body) {
  const names = [];
  for (let at = 2; at < body.length; ) {
    const end = body.indexOf(0, at);
    names.push(body.toString("utf8", at, end));
    at = end + 19;
  }
  return names;
}

/** The values in a data row; a length of -1 is null. */
function fields(body) {
  const values = [];
  for (let at = 2; at < body.length; ) {
    const length = body.readInt32BE(at);
    values.push(length < 0 ? null : body.toString("utf8", at + 4, at + 4 + length));
    at += 4 + Math.max(length, 0);
  }
  return values;
}
