// Asks Resource Graph's door with the client that people run: BASE QUERY -> the answer, or the error, as JSON.
import { ResourceGraphClient } from "@azure/arm-resourcegraph";

const [base, query, top] = process.argv.slice(2);
const credential = { getToken: async () => ({ token: "token", expiresOnTimestamp: Date.now() + 3_600_000 }) };
const client = new ResourceGraphClient(credential, { baseUri: base, endpoint: base, allowInsecureConnection: true });
try {
  const options = { resultFormat: "objectArray", ...(top ? { top: Number(top) } : {}) };
  console.log(JSON.stringify(await client.resources({ query, options })));
} catch (error) {
  console.log(JSON.stringify({ error: { status: error.statusCode, code: error.code, message: error.message } }));
}
