'use strict';
// Forwards what comes to in/x to out/x, QoS 1 on both sides, the payload untouched; a connection for each side.
// ACKNOWLEDGE from the environment: "end-to-end" acknowledges a message when the broker has acknowledged the
// forwarded one, which with mqtt.js means one after the other; anything else is mqtt.js' own way, on receipt.
const mqtt = require('mqtt');

const broker = { host: '127.0.0.1', port: Number(process.env.MQTT_PORT), protocol: 'mqtt', protocolVersion: 5 };
const outgoing = mqtt.connect({ ...broker, clientId: 'bench-out' });
outgoing.on('error', fail);

outgoing.once('connect', () => {
  const incoming = mqtt.connect({
    ...broker,
    clientId: process.env.CLIENT_ID,
    clean: false,
    properties: { sessionExpiryInterval: 86400 },
    // The session has its subscription already, and one more would only be answered.
    resubscribe: false,
  });
  incoming.on('error', fail);
  if (process.env.ACKNOWLEDGE === 'end-to-end') {
    incoming.handleMessage = (packet, done) => {
      outgoing.publish('out/x', packet.payload, { qos: 1 }, (error) => done(error));
    };
  } else {
    incoming.on('message', (topic, payload) => {
      outgoing.publish('out/x', payload, { qos: 1 }, (error) => error && fail(error));
    });
  }
});

function fail(error) {
  console.error(error.message);
  process.exit(1);
}
