export { EngineCoreError, type EngineCoreFault } from "./engine-core-error.ts";
