// npm's coap as a peer: the client and the server that test_peers.py describes; UDP only. NODE_PACKAGES says where it is.
import { createRequire } from "node:module";
import fs from "node:fs";
import { parseArgs } from "node:util";

const coap = createRequire(process.env.NODE_PACKAGES + "/")("coap");
const BLOCK = 1024;

function show(code, payload, output) {
  if (output) fs.writeFileSync(output, payload);
  console.log(`${code} bytes ${payload.length} "${payload.subarray(0, 100).toString("latin1").replace(/\n/g, " ")}"`);
}

function fail(error) {
  console.log("failed", error.message);
  process.exit(2);
}

function ask(options, method, uri) {
  const url = new URL(uri);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  const agent = new coap.Agent({ type: host.includes(":") ? "udp6" : "udp4" });
  const request = coap.request({
    hostname: host,
    port: Number(url.port || 5683),
    pathname: url.pathname,
    query: url.search.slice(1),
    method: method === "ipatch" ? "iPATCH" : method.toUpperCase(),
    observe: options.s > 0,
    agent,
  });
  const payload = options.f ? fs.readFileSync(options.f) : undefined;
  if (payload && payload.length > BLOCK) request.setOption("Block1", Buffer.from([6]));
  if (options.M !== undefined) request.setOption("If-Match", [Buffer.from(options.M, "hex")]);
  request.on("error", fail);
  request.on("response", (response) => {
    if (!options.s) {
      show(response.code, response.payload, options.o);
      setTimeout(() => process.exit(0), 100);
      return;
    }
    let wanted = options.s;
    response.on("data", (data) => {
      show(response.code, data, options.o);
      if (--wanted > 0) return;
      // What close(true) does, which with the last request of an agent first closes the agent's socket.
      agent.request({ ...request.url, observe: 1, token: request._packet.token }).end();
      setTimeout(() => process.exit(0), 500);
    });
  });
  request.end(payload);
}

const pattern = Buffer.alloc(1 << 20);
for (let i = 0; i < pattern.length; i += 4) pattern.writeUInt32BE(i / 4, i);
const store = new Map();
let tick = 0;

function answer(response, code, body) {
  response.code = code;
  response.end(body);
}

function getTick(request, response) {
  if (request.headers.Observe !== 0) return answer(response, "2.05", String(tick));
  response.write(String(tick));
  const timer = setInterval(() => response.write(String(tick)), 200);
  response.on("finish", () => clearInterval(timer));
}

function inStore(request, response) {
  const path = request.url;
  const exists = store.has(path);
  if (request.method === "PUT") store.set(path, request.payload);
  else if (request.method === "POST") store.set(path, Buffer.concat([store.get(path) ?? Buffer.alloc(0), request.payload]));
  else if (request.method === "DELETE") store.delete(path);
  else return exists ? answer(response, "2.05", store.get(path)) : answer(response, "4.04");
  answer(response, request.method === "DELETE" ? "2.02" : exists ? "2.04" : "2.01");
}

function handle(request, response) {
  const path = request.url.split("?")[0];
  if (path === "/hello") answer(response, "2.05", "hello, peer");
  else if (path === "/big") answer(response, "2.05", pattern);
  else if (path === "/echo") answer(response, "2.04", request.payload);
  else if (path === "/slow") setTimeout(() => answer(response, "2.05", "at last"), 1000);
  else if (path === "/tick") getTick(request, response);
  else if (path.startsWith("/store/")) inStore(request, response);
  else answer(response, "4.04");
}

function serve(port) {
  const count = setInterval(() => tick++, 200);
  const servers = ["udp4", "udp6"].map((type) => coap.createServer({ type }, handle));
  servers[0].on("error", fail);
  servers[0].listen(port, "127.0.0.1", () => servers[1].listen(port, "::1", () => console.log("ready on port", port)));
  return count;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  args: process.argv.slice(3),
  options: { f: { type: "string", short: "f" }, o: { type: "string", short: "o" }, s: { type: "string", short: "s" }, M: { type: "string", short: "M" } },
});
values.s = Number(values.s ?? 0);
if (process.argv[2] === "serve") serve(Number(positionals[0]));
else ask(values, ...positionals);
