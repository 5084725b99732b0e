// The same as answers.py, for packages that run on Node. Its argument is the folder that holds node_modules.
import { createRequire } from "node:module";
import net from "node:net";
import { createInterface } from "node:readline";

const require = createRequire(`${process.argv[2]}/package.json`);
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function guarded(...given) {
  const { host } = Array.isArray(given[0]) ? given[0][0] : given[0];
  if (!["127.0.0.1", "::1", "localhost"].includes(host)) throw new Error(`a contract test must not reach ${host}`);
  return connect.apply(this, given);
};

const header = (asked, name) => asked.headers.find(([key]) => key.toLowerCase() === name)?.[1];
const body = (asked) => Buffer.from(asked.body, "base64");
const form = (asked) => Object.fromEntries(new URLSearchParams(body(asked).toString()));
const pem = (key) => `-----BEGIN PUBLIC KEY-----\n${key}\n-----END PUBLIC KEY-----`;

const merchant = (asked) => {
  const { AlipaySdk } = require("alipay-sdk");
  const keys = { privateKey: asked.own_key, keyType: asked.key_type, alipayPublicKey: asked.key, signType: "RSA2" };
  return new AlipaySdk({ appId: "m", gateway: `http://${asked.endpoint}/gateway.do`, ...keys });
};

const verifiers = {
  stripe(asked) {
    const Stripe = require("stripe");
    return [true, Stripe.webhooks.constructEvent(body(asked), header(asked, "stripe-signature"), asked.key)];
  },
  // The unmodified client against the API at asked.endpoint: asked.call is a path such as "refunds.create".
  async stripe_calls(asked) {
    const Stripe = require("stripe");
    const [host, port] = asked.endpoint.split(":");
    const client = new Stripe(asked.secret, { host, port, protocol: "http", maxNetworkRetries: asked.retries ?? 0 });
    const path = asked.call.split(".");
    const method = path.pop();
    const resource = path.reduce((found, name) => found[name], client);
    const answer = await resource[method](...asked.args, asked.options ?? {});
    return [true, { object: answer, replayed: answer.lastResponse.headers["idempotent-replayed"] === "true" }];
  },
  // Every page of a list, as the client turns them.
  async stripe_pages(asked) {
    const Stripe = require("stripe");
    const [host, port] = asked.endpoint.split(":");
    const client = new Stripe(asked.secret, { host, port, protocol: "http" });
    const found = await client[asked.call].list({ limit: 2 }).autoPagingToArray({ limit: 1000 });
    return [true, found.map((each) => each.id)];
  },
  async github(asked) {
    const { verify } = await import(`${process.argv[2]}/node_modules/@octokit/webhooks-methods/dist-node/index.js`);
    return [await verify(asked.key, body(asked).toString(), header(asked, asked.header ?? "x-hub-signature-256")), null];
  },
  alipay(asked) {
    const { AlipaySdk } = require("alipay-sdk");
    const sdk = new AlipaySdk({
      appId: "2021",
      privateKey: asked.own_key,
      keyType: "PKCS8",
      alipayPublicKey: asked.key,
      signType: "RSA2",
    });
    const data = form(asked);
    return [sdk.checkNotifySignV2(data), data];
  },
  // The provider's own client against the gateway at asked.endpoint: asked.call is a method such as "alipay.trade.create".
  async alipay_calls(asked) {
    const found = await merchant(asked).exec(asked.call, { bizContent: asked.content }, { validateSign: true });
    return [found.code === "10000", found];
  },
  // What it makes for a customer's browser: a link with GET, a form that sends itself with POST.
  alipay_pages(asked) {
    return [true, merchant(asked).pageExecute(asked.call, asked.http_method, { bizContent: asked.content })];
  },
  async paddle(asked) {
    const { Paddle } = require("@paddle/paddle-node-sdk");
    const { webhooks } = new Paddle("no key is needed to verify");
    return [await webhooks.isSignatureValid(body(asked).toString(), asked.key, header(asked, "paddle-signature")), null];
  },
  wechat_pay(asked) {
    const { Rsa, Aes, Formatter } = require("wechatpay-axios-plugin");
    const [, key, contentKey] = asked.key.split(":");
    const said = (name) => header(asked, `wechatpay-${name}`) ?? "";
    const text = Formatter.response(said("timestamp"), said("nonce"), body(asked).toString());
    if (!Rsa.verify(text, said("signature"), Rsa.fromSpki(key))) return [false, null];
    const { resource } = JSON.parse(body(asked));
    const plain = Aes.AesGcm.decrypt(resource.ciphertext, contentKey, resource.nonce, resource.associated_data);
    return [true, JSON.parse(plain)];
  },
  wechat_pay_decrypts(asked) {
    const Pay = require("wechatpay-node-v3");
    const { resource } = JSON.parse(body(asked));
    const contentKey = asked.key.split(":")[2];
    const decipher = Pay.prototype.decipher_gcm;
    const found = decipher.call({ key: contentKey }, resource.ciphertext, resource.associated_data, resource.nonce, contentKey);
    return [true, found];
  },
};

// What a verifier read may be nested deeper than it can be written; the verdict is what counts.
function written(answer) {
  try {
    return JSON.stringify(answer);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return JSON.stringify({ ...answer, found: null });
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    const [accepted, found] = await verifiers[asked.verifier](asked);
    answer = { accepted: accepted === true, raised: null, message: "", found: found ?? null };
  } catch (error) {
    answer = { accepted: false, raised: error.constructor.name, message: String(error.message), found: error.raw ?? null };
  }
  process.stdout.write(`${written(answer)}\n`);
}
