// A program that serves on the listening socket it was given as descriptor 3, and says so.
import { createServer } from "../index.ts";
import { unary } from "./text-service.ts";

const server = createServer();
server.register({ name: "test.Text", methods: [unary("Echo", (text) => text)] });
await server.listen({ fd: 3 });
process.stdout.write("listening\n");
