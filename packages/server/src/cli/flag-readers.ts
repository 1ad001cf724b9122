import { onOff, type ValueParser } from "./value-parsers.ts";

/** The process's environment, or what a test says instead. */
export type Environment = Readonly<Record<string, string | undefined>>;

export type FlagReader<T> = (environment: Environment) => T;

export interface FlagDefinition<T> {
  /** As commander takes it: `--port <port>`. */
  readonly flag: string;
  readonly description: string;
  readonly parse: ValueParser<T>;
}

/** `--max-model-len` is `TOKENWIRE_MAX_MODEL_LEN`. */
export function environmentName(flagName: string): string {
  return `TOKENWIRE_${flagName.replace(/^--/, "").replaceAll("-", "_").toUpperCase()}`;
}

/** A declared flag, as whoever parses the words knows it. */
export interface DeclaredFlag {
  /** With its dashes: `--port`. */
  readonly long: string;
  /** What the command line says: a text, a list of them, true for an on/off flag; undefined when it says nothing. */
  readonly given: () => unknown;
}

/**
 * Declares the flags of one command and reads them typed: the command line wins over the environment, which wins over
 * the default. Readers throw {@link UsageError}; they are called after the words have been parsed.
 *
 * The environment is read here and not by commander's `env()`: there, an on/off flag is on as soon as its variable
 * exists, whatever it says.
 */
export abstract class FlagReaders {
  /** The flags declared next stand under this heading in the help. */
  abstract group(heading: string): void;

  protected abstract addFlag(flag: string, description: string, isRepeated: boolean): DeclaredFlag;

  /** A flag with a value and a default. */
  value<T>(definition: FlagDefinition<T> & { readonly fallback: string }): FlagReader<T> {
    const read = this.optional({
      ...definition,
      description: `${definition.description} (default: ${definition.fallback})`,
    });
    return (environment) => read(environment) ?? definition.parse(definition.flag, definition.fallback);
  }

  /** A flag with a value that may be absent. */
  optional<T>(definition: FlagDefinition<T>): FlagReader<T | undefined> {
    const flag = this.addFlag(definition.flag, definition.description, false);
    return (environment) => {
      const given = spokenValue(flag, environment);
      return given === undefined ? undefined : definition.parse(given.source, String(given.value));
    };
  }

  /** A flag that may be given several times; its variable gives one value. */
  repeated<T>(definition: FlagDefinition<T>): FlagReader<readonly T[]> {
    const flag = this.addFlag(definition.flag, `${definition.description}; may be repeated`, true);
    return (environment) => {
      const given = spokenValue(flag, environment);
      if (given === undefined) return [];
      const values: readonly unknown[] = Array.isArray(given.value) ? given.value : [given.value];
      return values.map((value) => definition.parse(given.source, String(value)));
    };
  }

  /** A flag without a value. Its variable says true or false. */
  onOff(words: string, description: string): FlagReader<boolean> {
    const flag = this.addFlag(words, description, false);
    return (environment) => {
      const given = spokenValue(flag, environment);
      if (given === undefined) return false;
      return typeof given.value === "boolean" ? given.value : onOff(given.source, String(given.value));
    };
  }
}

function spokenValue(flag: DeclaredFlag, environment: Environment): { source: string; value: unknown } | undefined {
  const given = flag.given();
  if (given !== undefined) return { source: flag.long, value: given };
  const source = environmentName(flag.long);
  const value = environment[source];
  return value === undefined || isServiceLink(source, value) ? undefined : { source, value };
}

/**
 * Kubernetes gives every pod beside a Service called "tokenwire" a TOKENWIRE_PORT=tcp://10.0.0.1:50051 (service
 * links, in Docker's manner), and beside one called "tokenwire-health" a TOKENWIRE_HEALTH_PORT. That is nobody's wish
 * for a port.
 */
function isServiceLink(source: string, value: string): boolean {
  const ports = ["TOKENWIRE_PORT", "TOKENWIRE_HEALTH_PORT", "TOKENWIRE_METRICS_PORT"];
  return ports.includes(source) && /^(tcp|udp|sctp):\/\//.test(value);
}
