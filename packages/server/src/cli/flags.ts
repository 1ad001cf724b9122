import { type Command, Option } from "commander";
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

/**
 * Declares the flags of one command and reads them typed: the command line wins over the environment, which wins over
 * the default. Readers throw {@link UsageError}; they are called after commander has parsed.
 *
 * The environment is read here and not by commander's `env()`: there, an on/off flag is on as soon as its variable
 * exists, whatever it says.
 */
export class CommandFlags {
  readonly #command: Command;

  constructor(command: Command) {
    this.#command = command;
  }

  /** The flags declared next stand under this heading in the help. */
  group(heading: string): void {
    this.#command.optionsGroup(`${heading}:`);
  }

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
    const option = this.#declare(definition.flag, definition.description);
    return (environment) => {
      const given = this.#given(option, environment);
      return given === undefined ? undefined : definition.parse(given.source, String(given.value));
    };
  }

  /** A flag that may be given several times; its variable gives one value. */
  repeated<T>(definition: FlagDefinition<T>): FlagReader<readonly T[]> {
    const option = this.#declare(definition.flag, `${definition.description}; may be repeated`);
    option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value]);
    return (environment) => {
      const given = this.#given(option, environment);
      if (given === undefined) return [];
      const values: readonly unknown[] = Array.isArray(given.value) ? given.value : [given.value];
      return values.map((value) => definition.parse(given.source, String(value)));
    };
  }

  /** A flag without a value. Its variable says true or false. */
  onOff(flag: string, description: string): FlagReader<boolean> {
    const option = this.#declare(flag, description);
    return (environment) => {
      const given = this.#given(option, environment);
      if (given === undefined) return false;
      return typeof given.value === "boolean" ? given.value : onOff(given.source, String(given.value));
    };
  }

  #declare(flag: string, description: string): Option {
    const option = new Option(flag, description);
    this.#command.addOption(option);
    return option;
  }

  #given(option: Option, environment: Environment): { source: string; value: unknown } | undefined {
    const key = option.attributeName();
    if (this.#command.getOptionValueSource(key) === "cli") {
      return { source: option.long ?? option.flags, value: this.#command.getOptionValue(key) };
    }
    const source = environmentName(option.long ?? "");
    const value = environment[source];
    return value === undefined || isServiceLink(source, value) ? undefined : { source, value };
  }
}

/**
 * Kubernetes gives every pod beside a Service called "tokenwire" a TOKENWIRE_PORT=tcp://10.0.0.1:50051 (service
 * links, in Docker's manner). That is nobody's wish for a port.
 */
function isServiceLink(source: string, value: string): boolean {
  return source === "TOKENWIRE_PORT" && /^(tcp|udp|sctp):\/\//.test(value);
}
