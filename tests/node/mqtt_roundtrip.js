// Publishes to itself: node mqtt_roundtrip.js URL VERSION [USERNAME PASSWORD]; prints what arrived, as JSON.
const mqtt = require("mqtt");

const [url, version, username, password] = process.argv.slice(2);
const topic = `js/${process.pid}`;
const client = mqtt.connect(url, {
  protocolVersion: Number(version), username, password, reconnectPeriod: 0, connectTimeout: 5000,
});

setTimeout(() => fail("nothing arrived"), 10000).unref();
client.on("error", (error) => fail(error.message));
client.on("close", () => fail("closed"));
client.on("connect", async () => {
  const arrived = new Promise((resolve) => client.on("message", (_, payload, packet) => resolve({ payload, packet })));
  await client.subscribeAsync(topic, { qos: 2 });
  // Once it is published the broker and we owe each other nothing, and may part.
  await client.publishAsync(topic, "hello", { qos: 2 });
  const { payload, packet } = await arrived;
  console.log(JSON.stringify({ payload: payload.toString(), qos: packet.qos }));
  client.removeAllListeners("close");
  client.removeAllListeners("error");
  client.on("error", () => {});
  client.end(false, () => process.exit(0));
});

function fail(why) {
  console.error(why);
  process.exit(1);
}
