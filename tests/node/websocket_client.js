// Says hello, waits for a message and a pong, then for its end: node websocket_client.js URL.
const WebSocket = require("ws");

const client = new WebSocket(process.argv[2]);
setTimeout(() => fail("nothing came"), 10000).unref();

client.on("error", (error) => fail(error.message));
client.on("open", () => client.send(JSON.stringify({ from: "node" })));
client.on("message", (data) => {
  client.on("pong", () => console.log(`got ${data} and a pong`));
  client.ping("x");
});
client.on("close", (code) => console.log(`closed ${code}`));

function fail(why) {
  console.error(why);
  process.exit(1);
}
