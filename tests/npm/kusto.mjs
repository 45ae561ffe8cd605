// Asks Kusto's door with the client that people run: BASE QUERY -> columns and rows, or the error, as JSON.
import { Client, KustoConnectionStringBuilder } from "azure-kusto-data";

const [base, query] = process.argv.slice(2);
const client = new Client(new KustoConnectionStringBuilder(base));
try {
  const answer = await client.execute("fermata", query);
  const table = answer.primaryResults[0];
  const columns = table.columns.map((column) => [column.name, column.type]);
  const rows = [...table.rows()].map((row) => [...row.values()]);
  console.log(JSON.stringify({ columns, rows }));
} catch (error) {
  console.log(JSON.stringify({ error: { status: error.response?.status, message: String(error.message ?? error) } }));
}
