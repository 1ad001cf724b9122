/**
 * `tokenwire`, with a fault that the product does not have: on SIGUSR2 the main thread does nothing else for five
 * seconds. Takes the words of the command line.
 */
const blockMs = 5_000;

process.on("SIGUSR2", () => {
  process.stdout.write("blocked\n");
  const endsAtMs = performance.now() + blockMs;
  while (performance.now() < endsAtMs);
});

await import("../../packages/server/src/cli/main.ts");
