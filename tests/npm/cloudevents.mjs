// Reads a delivery as npm's CloudEvents does: {headers, body} on standard input -> the event's attributes, as JSON.
import { HTTP } from "cloudevents";

const parts = [];
for await (const part of process.stdin) parts.push(part);
const message = JSON.parse(Buffer.concat(parts).toString());
const found = HTTP.toEvent(message);
const events = Array.isArray(found) ? found : [found];
for (const event of events) event.validate();
console.log(JSON.stringify(events.map((event) => event.toJSON())));
