// A small top-up service in Node, with nothing but what Node brings: the harness is told of it in target.toml alone.
//
//   node service.mjs               done right
//   node service.mjs race          reads a top-up without locking its row: two callbacks at once both find it unpaid
//   node service.mjs lost-credit   confirms a payment in one transaction and credits it in another

import { createHmac, randomUUID, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";
import { setTimeout } from "node:timers/promises";
import { Pool } from "./pg.mjs";

const { PORT, DATABASE_URL, PROVIDER_URL, PROVIDER_API_KEY, CALLBACK_SECRET, MERCHANT, ENVIRONMENT } = process.env;
const BUG = process.argv[2] ?? "";
if (!["", "race", "lost-credit"].includes(BUG)) throw new Error(`there is no bug ${BUG}: there are race and lost-credit`);
const CONNECTIONS = 4;
const PROVIDER_WITHIN_MS = 1000;
const START_WITHIN_MS = 10000;
const FRESH_S = 300;
const BODY_BYTES_MAX = 65536;
const KEYS = CALLBACK_SECRET.split(" ").map((secret) => Buffer.from(secret.replace(/^whsec_/, ""), "base64"));

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS top_ups (
    top_up text PRIMARY KEY, customer text NOT NULL, key text NOT NULL, account text NOT NULL, amount bigint NOT NULL,
    currency text NOT NULL, method text NOT NULL, state text NOT NULL, payment text, UNIQUE (customer, key));
  CREATE TABLE IF NOT EXISTS balances (account text PRIMARY KEY, amount bigint NOT NULL, currency text NOT NULL)`;

const pool = new Pool(DATABASE_URL, CONNECTIONS);

class Refused extends Error {
  constructor(status, reason) {
    super(reason);
    this.status = status;
  }
}

// Initiation: what was asked is stored first; the provider is then asked under the top-up's own key, however often.

async function createTopUp(headers, body) {
  const asked = { ...parsed(body), customer: headers["x-customer"], key: headers["idempotency-key"] };
  if (!asked.customer || !asked.key) throw new Refused(400, "X-Customer and Idempotency-Key are required");
  if (![asked.account, asked.currency, asked.method].every((each) => typeof each === "string" && each))
    throw new Refused(400, "account, currency and method are required");
  if (!Number.isSafeInteger(asked.amount_minor) || asked.amount_minor <= 0) throw new Refused(400, "amount_minor");
  const topUp = await pool.transaction((db) => stored(db, asked));
  if (topUp.account !== asked.account || topUp.amount !== String(asked.amount_minor) || topUp.currency !== asked.currency)
    throw new Refused(422, "this key was used for something else");
  if (topUp.state !== "open" || topUp.payment) return [200, shown(topUp)];
  const [status, payment] = await provider("POST", "/v1/payments", {
    reference: topUp.top_up,
    amount_minor: asked.amount_minor,
    currency: topUp.currency,
    account: topUp.account,
    merchant: MERCHANT,
    method: topUp.method,
  });
  if (status !== 402 && status > 299) throw new Refused(503, `the provider answered ${status}: ask again`);
  const learned =
    status === 402
      ? ["UPDATE top_ups SET state = 'failed' WHERE top_up = $1 AND state = 'open' RETURNING *", topUp.top_up]
      : ["UPDATE top_ups SET payment = $2 WHERE top_up = $1 RETURNING *", topUp.top_up, payment.id];
  const [now] = await pool.transaction((db) => db.query(...learned));
  return [201, shown(now ?? topUp)];
}

async function stored(db, { customer, key, account, amount_minor, currency, method }) {
  await db.query(
    "INSERT INTO top_ups VALUES ($1, $2, $3, $4, $5, $6, $7, 'open') ON CONFLICT (customer, key) DO NOTHING",
    ...[`tu_${randomUUID()}`, customer, key, account, amount_minor, currency, method],
  );
  const [topUp] = await db.query("SELECT * FROM top_ups WHERE customer = $1 AND key = $2", customer, key);
  return topUp;
}

async function provider(method, path, body) {
  const answer = await fetch(PROVIDER_URL + path, {
    method,
    headers: { authorization: `Bearer ${PROVIDER_API_KEY}`, ...(body && { "idempotency-key": body.reference }) },
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(PROVIDER_WITHIN_MS),
  });
  return [answer.status, await answer.json()];
}

// Callbacks: believed when signed, applied once, acknowledged after the commit.

async function callback(headers, body) {
  verify(headers, body);
  const { type, data } = parsed(body);
  if (type === "payment.captured") await captured(data);
  if (type === "payment.failed")
    await pool.transaction((db) =>
      db.query("UPDATE top_ups SET state = 'failed' WHERE top_up = $1 AND state = 'open'", data.reference),
    );
  return [200, {}];
}

function verify(headers, body) {
  const id = headers["webhook-id"] ?? "";
  const stamp = headers["webhook-timestamp"] ?? "";
  if (!/^\d{1,12}$/.test(stamp) || Math.abs(Date.now() / 1000 - Number(stamp)) > FRESH_S)
    throw new Refused(401, "the timestamp is not of now");
  const given = (headers["webhook-signature"] ?? "").split(" ").map((each) => Buffer.from(each));
  for (const key of KEYS) {
    const digest = createHmac("sha256", key).update(`${id}.${stamp}.`).update(body).digest("base64");
    const right = Buffer.from(`v1,${digest}`);
    if (given.some((each) => each.length === right.length && timingSafeEqual(each, right))) return;
  }
  throw new Refused(401, "no signature fits");
}

/** A payment was taken: confirm it and credit it, together or not at all. */
async function captured(paid) {
  if (BUG === "lost-credit") {
    if (await pool.transaction((db) => confirm(db, paid))) await pool.transaction((db) => credit(db, paid));
  } else {
    await pool.transaction(async (db) => (await confirm(db, paid)) && (await credit(db, paid)));
  }
}

/** True for the first that reports this top-up's payment: whoever comes second waits for the row, and finds it confirmed. */
async function confirm(db, paid) {
  const lock = BUG === "race" ? "" : " FOR UPDATE";
  const [topUp] = await db.query(`SELECT * FROM top_ups WHERE top_up = $1${lock}`, paid.reference);
  if (!topUp) throw new Refused(404, "there is no such top-up");
  if (topUp.state !== "open" && topUp.state !== "failed") return false;
  const same =
    topUp.amount === String(paid.amount_minor) &&
    ["account", "currency"].every((name) => topUp[name] === paid[name]) &&
    paid.merchant === MERCHANT &&
    paid.environment === ENVIRONMENT;
  const state = same ? "confirmed" : "held"; // what differs from what was asked is for people to look at
  await db.query("UPDATE top_ups SET state = $2, payment = $3 WHERE top_up = $1", topUp.top_up, state, paid.payment);
  return same;
}

async function credit(db, { reference, account, amount_minor, currency }) {
  await db.query(
    `INSERT INTO balances VALUES ($1, $2, $3)
     ON CONFLICT (account) DO UPDATE SET amount = balances.amount + excluded.amount`,
    ...[account, amount_minor, currency],
  );
  await db.query("UPDATE top_ups SET state = 'credited' WHERE top_up = $1", reference);
}

// What can be asked, and reconciliation: the provider is asked about whatever is still open.

async function reconcile() {
  const open = await pool.transaction((db) => db.query("SELECT * FROM top_ups WHERE state IN ('open', 'failed')"));
  for (const { top_up } of open) {
    const [, { payments }] = await provider("GET", `/v1/payments?reference=${top_up}`);
    for (const found of payments)
      if (found.state === "captured")
        await captured({ ...found, payment: found.id, amount_minor: found.captured_minor });
  }
  return [200, {}];
}

async function status(topUp) {
  const [found] = await pool.transaction((db) => db.query("SELECT * FROM top_ups WHERE top_up = $1", topUp));
  if (!found) throw new Refused(404, "there is no such top-up");
  return [200, shown(found)];
}

async function balance(account) {
  const [found] = await pool.transaction((db) => db.query("SELECT * FROM balances WHERE account = $1", account));
  return [200, { balance_minor: Number(found?.amount ?? 0), currency: found?.currency }];
}

function shown({ top_up, payment, state }) {
  return { top_up, payment, status: state };
}

function parsed(body) {
  try {
    return JSON.parse(body.toString("utf8"));
  } catch {
    throw new Refused(400, "the body is not JSON");
  }
}

async function answer(request) {
  const [path] = request.url.split("?");
  const [, kind, name] = path.split("/");
  const body = await bodyOf(request);
  switch (`${request.method} /${kind}`) {
    case "GET /healthz":
      return [200, {}];
    case "POST /top-ups":
      return createTopUp(request.headers, body);
    case "GET /top-ups":
      return status(name);
    case "GET /balances":
      return balance(name);
    case "POST /callbacks":
      return callback(request.headers, body);
    case "POST /reconcile":
      return reconcile();
    default:
      throw new Refused(404, "there is no such page");
  }
}

async function bodyOf(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size > BODY_BYTES_MAX) throw new Refused(413, "the body is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

const server = createServer(async (request, response) => {
  const [status, body] = await answer(request).catch((error) => {
    console.log(`${request.method} ${request.url}: ${error.message}`);
    return [error.status ?? 503, { error: error.message }]; // what we do not know may have happened is never a no
  });
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
});

for (const until = Date.now() + START_WITHIN_MS; ; await setTimeout(100)) {
  try {
    await pool.transaction((db) => db.query(SCHEMA));
    break;
  } catch (error) {
    if (Date.now() > until) throw error; // the database may be starting too
  }
}
server.listen(Number(PORT), "127.0.0.1");
