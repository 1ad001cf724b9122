#!/usr/bin/env node
// Plain JavaScript on purpose: it has to say its sentence on versions of Node that cannot run what it starts.
import { existsSync } from "node:fs";
import * as nodeModule from "node:module";
import { sep } from "node:path";
import { fileURLToPath } from "node:url";

const [major = 0, minor = 0] = process.versions.node.split(".").map(Number);

if (major < 22 || (major === 22 && minor < 18)) {
  process.stderr.write(
    `tokenwire needs Node 22.18 or newer, and this is Node ${process.versions.node}; in a clone, npx tokenwire runs it on the Node that the repository brings.\n`,
  );
  process.exitCode = 2;
} else {
  const source = new URL("../src/cli/main.ts", import.meta.url);
  // Node strips no types below node_modules; elsewhere this is a clone, where a dist folder may be older than the sources.
  const installed = fileURLToPath(import.meta.url)
    .split(sep)
    .includes("node_modules");
  if (installed || !existsSync(source)) {
    await import("../dist/cli/main.js");
  } else {
    nodeModule.registerHooks({
      resolve: (specifier, context, nextResolve) =>
        specifier.startsWith("@tokenwire/")
          ? nextResolve(specifier, { ...context, conditions: ["tokenwire-source", ...context.conditions] })
          : nextResolve(specifier, context),
    });
    await import(source.href);
  }
}
