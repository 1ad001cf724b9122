import { type Command, Option } from "commander";
import { type DeclaredFlag, FlagReaders } from "./flag-readers.ts";

export { type Environment, environmentName, type FlagReader } from "./flag-readers.ts";

/** {@link FlagReaders} of a command of commander, which has to have parsed before they are called. */
export class CommandFlags extends FlagReaders {
  readonly #command: Command;

  constructor(command: Command) {
    super();
    this.#command = command;
  }

  group(heading: string): void {
    this.#command.optionsGroup(`${heading}:`);
  }

  protected addFlag(flag: string, description: string, isRepeated: boolean): DeclaredFlag {
    const option = new Option(flag, description);
    if (isRepeated) {
      option.argParser((value: string, previous: readonly string[] | undefined) => [...(previous ?? []), value]);
    }
    this.#command.addOption(option);
    const key = option.attributeName();
    return {
      long: option.long ?? option.flags,
      given: () => {
        return this.#command.getOptionValueSource(key) === "cli" ? this.#command.getOptionValue(key) : undefined;
      },
    };
  }
}
