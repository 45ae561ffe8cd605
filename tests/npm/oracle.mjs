// The official parser of KQL: a list of queries on standard input -> for each the messages of its faults, as JSON.
import { createRequire } from "node:module";

const require = createRequire(import.meta.url);
require("@kusto/language-service-next/bridge.min");
require("@kusto/language-service-next/Kusto.Language.Bridge.min");

const parts = [];
for await (const part of process.stdin) parts.push(part);
const faults = JSON.parse(Buffer.concat(parts).toString()).map((query) => {
  const found = Kusto.Language.KustoCode.Parse(query).GetSyntaxDiagnostics();
  const messages = [];
  for (let i = 0; i < found.Count; i++) messages.push(found.getItem(i).Message);
  return messages;
});
console.log(JSON.stringify(faults));
