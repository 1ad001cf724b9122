// Serves @tokenwire/health over one of our transports and nothing else; the argument is a key of `transports`.
import { createHealthService, StatusTable } from "@tokenwire/health";
import { createLog } from "../../../packages/server/src/operations/log.ts";
import { transports } from "../transports.ts";
import { announce, onFlip } from "./announce.ts";

const name = process.argv[2] ?? "";
const transport = transports[name];
if (transport === undefined) throw new Error(`There is no transport ${name}.`);

const table = new StatusTable();
table.set("", "SERVING");
const server = transport.create(createLog("warn"));
server.register(createHealthService(table));
const { port } = await server.listen({ host: "127.0.0.1", port: 0 });
onFlip((status) => table.set("", status));
announce(port, ["@tokenwire/health", transport.package]);
