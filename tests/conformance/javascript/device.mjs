// A device with the official JavaScript SDK. It does what each line of standard input says and
// writes what the SDK reports as lines of standard output; tests/conformance/test_javascript.py
// is at the other end.

import { createInterface } from "node:readline";
import { Centrifuge } from "centrifuge";
import WebSocket from "ws";

const say = (event, facts = {}) => console.log(JSON.stringify({ event, ...facts }));

// Tokens come from the test: the SDK asks, the test answers the oldest question.
const waiting = [];
const askForToken = (kind) =>
  new Promise((resolve) => {
    waiting.push(resolve);
    say("token wanted", { kind });
  });

const sockets = [];
class Socket extends WebSocket {
  constructor(...options) {
    super(...options);
    sockets.push(this);
  }
}

let client;
let subscription;

const actions = {
  connect({ url, token, transports, emulationEndpoint }) {
    client = new Centrifuge(transports ?? url, {
      websocket: Socket,
      ...(emulationEndpoint && { emulationEndpoint }),
      token,
      getToken: () => askForToken("connection"),
      minReconnectDelay: 50,
      maxReconnectDelay: 200,
    });
    client.on("connected", ({ client: id, transport }) =>
      say("connected", { client: id, transport }),
    );
    client.on("disconnected", ({ code, reason }) => say("disconnected", { code, reason }));
    client.connect();
  },
  subscribe({ channel, token, since }) {
    subscription = client.newSubscription(channel, {
      token,
      since,
      getToken: () => askForToken("subscription"),
      minResubscribeDelay: 50,
      maxResubscribeDelay: 200,
    });
    subscription.on("subscribed", ({ wasRecovering, recovered, positioned, streamPosition }) =>
      say("subscribed", { wasRecovering, recovered, positioned, streamPosition }),
    );
    subscription.on("unsubscribed", ({ code, reason }) => say("unsubscribed", { code, reason }));
    subscription.on("publication", ({ data, offset }) => say("publication", { data, offset }));
    subscription.subscribe();
  },
  token: ({ token }) => waiting.shift()(token),
  unsubscribe: () => subscription.unsubscribe(),
  resubscribe: () => subscription.subscribe(),
  publish: () => subscription.publish({}).catch(({ code }) => say("refused", { code })),
  history: () => subscription.history({ limit: 1 }).catch(({ code }) => say("refused", { code })),
  presence: () => subscription.presence().catch(({ code }) => say("refused", { code })),
  // As a network that breaks: no close frame.
  cut: () => sockets.at(-1).terminate(),
  disconnect: () => client.disconnect(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { action, ...facts } = JSON.parse(line);
  actions[action](facts);
}
process.exit(0);
