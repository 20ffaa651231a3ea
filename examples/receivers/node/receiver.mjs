// A receiver of Antiphon's webhooks: verifies, answers at once, tells each event once.
//
//     WEBHOOK_SECRET=whsec_... node receiver.mjs [PORT]
//
// While a secret is being replaced WEBHOOK_SECRET holds both, with a space between them.

import { createHmac, timingSafeEqual } from "node:crypto";
import { createServer } from "node:http";

const BODY_BYTES_MAX = 1 << 20;
const TOLERANCE_S = 5 * 60;
// What came before these is forgotten. Who must not see an event twice after a restart either keeps
// the ids where the events go, with a unique key.
const IDS_MAX = 100_000;

const secrets = (process.env.WEBHOOK_SECRET ?? "")
  .split(/\s+/)
  .filter((secret) => secret.startsWith("whsec_"))
  .map((secret) => Buffer.from(secret.slice("whsec_".length), "base64"));
if (secrets.length === 0) throw new Error("WEBHOOK_SECRET must hold a whsec_ secret");

const seen = new Set();

/** Standard Webhooks: HMAC-SHA256 over id, time and the body as it came. */
function isAuthentic(headers, body) {
  const { "webhook-id": id, "webhook-timestamp": at, "webhook-signature": signatures } = headers;
  if (!id || !/^\d+$/.test(at ?? "") || !signatures) return false;
  if (Math.abs(Date.now() / 1000 - Number(at)) > TOLERANCE_S) return false;
  return secrets.some((secret) => {
    const expected = createHmac("sha256", secret).update(`${id}.${at}.`).update(body).digest();
    return signatures.split(" ").some((signature) => {
      const [version, encoded] = signature.split(",");
      const given = Buffer.from(encoded ?? "", "base64");
      return version === "v1" && given.length === expected.length && timingSafeEqual(given, expected);
    });
  });
}

/** The body; null if it is too long. */
async function read(request) {
  const pieces = [];
  let length = 0;
  for await (const piece of request) {
    length += piece.length;
    if (length > BODY_BYTES_MAX) return null;
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

/** What takes its time happens here, not before the answer. */
function work(event) {
  if (event.type === "transcript") {
    // format = "asapp"
    const { externalConversationId, sender, autotranscribeResponse } = event;
    console.log(`${externalConversationId} ${sender.role}: ${autotranscribeResponse.utterance[0].text}`);
  } else if (event.type === "transcript.final") {
    // format = "envelope"
    const { conversation, sender, alternatives } = event.data;
    console.log(`${conversation.guid} ${sender.role}: ${alternatives[0].text}`);
  }
}

/** The status to answer with. Whatever is not 2xx is sent again. */
async function take(request) {
  const body = await read(request);
  if (body === null) return 413;
  if (!isAuthentic(request.headers, body)) return 401;
  const id = request.headers["webhook-id"];
  if (seen.has(id)) return 204;
  const event = JSON.parse(body);
  seen.add(id);
  if (seen.size > IDS_MAX) seen.delete(seen.values().next().value);
  setImmediate(work, event);
  return 204;
}

const server = createServer(async (request, response) => {
  try {
    response.writeHead(await take(request));
  } catch {
    response.writeHead(400);
  }
  response.end();
});
server.listen(Number(process.argv[2] ?? 8095), "127.0.0.1", () => {
  console.log(`listening on ${server.address().port}`);
});
