// Asks Amazon's door inside a node with the client that people run: ENDPOINT PATH... -> each answer, or its error.
import { MetadataService } from "@aws-sdk/ec2-metadata-service";

const [endpoint, ...paths] = process.argv.slice(2);
const service = new MetadataService({ endpoint, httpOptions: { timeout: 20_000 }, retries: 0, ec2MetadataV1Disabled: true });
const told = [];
for (const path of paths) {
  try {
    told.push({ text: await service.request(path, {}) });
  } catch (error) {
    told.push({ error: { status: error.statusCode, message: String(error.message ?? error) } });
  }
}
console.log(JSON.stringify(told));
