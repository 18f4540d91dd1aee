// Splits a command line by the table in spec.ts. Nothing is guessed: values stay the texts they
// were given as, an unknown flag is an error, and what belongs to the guest is not looked at.
//
//   catavmm [global flags] command [flags] [operands]
//   catavmm run   [flags] [--] program …    everything from the program on is the guest's
//
// A flag that is not on the command line may come from the environment: CATAVMM_ and its name,
// CATAVMM_MEMORY=512m for --memory 512m. Flags that may be repeated, and help and version, may not.

import { suggest, UsageError } from './errors.ts';
import { commands, findCommand, flagsOf } from './spec.ts';
import type { CommandName, CommandSpec, FlagSpec } from './spec.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

const yes: readonly string[] = ['1', 'true', 'yes'];
const no: readonly string[] = ['', '0', 'false', 'no'];

/** A command line in parts. */
export class Arguments {
  /** Undefined when there is none (`catavmm --help`). */
  readonly command: CommandName | undefined;
  readonly operands: readonly string[];
  readonly #values: ReadonlyMap<string, readonly string[]>;

  constructor(
    command: CommandName | undefined,
    values: ReadonlyMap<string, readonly string[]>,
    operands: readonly string[],
  ) {
    this.command = command;
    this.operands = operands;
    this.#values = values;
  }

  /** Whether a switch is on. */
  has(flag: string): boolean {
    return this.#values.has(flag);
  }

  /** The value of a flag; the last one counts. */
  text(flag: string): string | undefined {
    return this.#values.get(flag)?.at(-1);
  }

  /** All values of a flag that may be repeated. */
  list(flag: string): readonly string[] {
    return this.#values.get(flag) ?? [];
  }
}

/** Walks over the words once. */
class Parser {
  readonly #words: readonly string[];
  readonly #environment: Environment;
  readonly #values: Map<string, string[]> = new Map();
  readonly #operands: string[] = [];
  #command: CommandSpec | undefined;
  #flags: readonly FlagSpec[] = flagsOf(undefined);
  #next: number = 0;

  constructor(words: readonly string[], environment: Environment) {
    this.#words = words;
    this.#environment = environment;
  }

  parse(): Arguments {
    while (this.#next < this.#words.length) {
      const word = this.#words[this.#next++] as string;
      if (word === '--') {
        this.#takeRest();
      } else if (word.startsWith('--')) {
        this.#takeLong(word.slice(2));
      } else if (word.startsWith('-') && word !== '-') {
        this.#takeShort(word);
      } else {
        this.#takeWord(word);
      }
    }
    for (const flag of this.#flags) this.#takeFromEnvironment(flag);
    return new Arguments(this.#command?.name, this.#values, this.#operands);
  }

  #takeWord(word: string): void {
    if (this.#command === undefined) {
      this.#command = findCommand(word);
      if (this.#command === undefined) throw unknownCommand(word);
      this.#flags = flagsOf(this.#command);
      return;
    }
    this.#operands.push(word);
    if (this.#command.guest === true) this.#takeRest();
  }

  #takeRest(): void {
    if (this.#command === undefined) throw new UsageError('A command must come before "--".');
    this.#operands.push(...this.#words.slice(this.#next));
    this.#next = this.#words.length;
  }

  #takeLong(text: string): void {
    const equals = text.indexOf('=');
    const name = equals < 0 ? text : text.slice(0, equals);
    const flag = this.#flags.find((candidate) => candidate.name === name);
    if (flag === undefined) throw this.#unknownFlag(`--${name}`);
    if (flag.value !== undefined) {
      this.#add(flag, equals < 0 ? this.#takeValue(flag) : text.slice(equals + 1));
    } else if (equals < 0) {
      this.#add(flag, '');
    } else {
      throw new UsageError(`--${name} takes no value.`);
    }
  }

  /** `-q`, `-qc`, `-e K=V`, `-eK=V`. */
  #takeShort(word: string): void {
    for (let index = 1; index < word.length; index++) {
      const flag = this.#flags.find((candidate) => candidate.short === word[index]);
      if (flag === undefined) throw this.#unknownFlag(`-${word[index]}`);
      if (flag.value === undefined) {
        this.#add(flag, '');
        continue;
      }
      const rest = word.slice(index + 1).replace(/^=/, '');
      this.#add(flag, rest === '' ? this.#takeValue(flag) : rest);
      return;
    }
  }

  #takeValue(flag: FlagSpec): string {
    const word = this.#words[this.#next];
    if (word === undefined || word === '--') {
      throw new UsageError(`--${flag.name} needs a value: ${flag.value}.`);
    }
    this.#next++;
    return word;
  }

  #add(flag: FlagSpec, value: string): void {
    checkChoice(flag, value, `--${flag.name}`);
    const known = this.#values.get(flag.name);
    if (known === undefined) this.#values.set(flag.name, [value]);
    else known.push(value);
  }

  #takeFromEnvironment(flag: FlagSpec): void {
    const variable = environmentName(flag);
    if (variable === undefined || this.#values.has(flag.name)) return;
    const value = this.#environment[variable];
    if (value === undefined) return;
    if (flag.value !== undefined) {
      checkChoice(flag, value, variable);
      this.#values.set(flag.name, [value]);
    } else if (yes.includes(value)) {
      this.#values.set(flag.name, ['']);
    } else if (!no.includes(value)) {
      throw new UsageError(`${variable} is "${value}", not 1 or 0.`);
    }
  }

  #unknownFlag(given: string): UsageError {
    const name = this.#command === undefined ? 'catavmm' : `catavmm ${this.#command.name}`;
    const known = this.#flags.map((flag) => `--${flag.name}`);
    const meant = given.startsWith('--') ? suggest(given, known) : undefined;
    const owner = commands.find((command) => flagsOf(command).some((flag) => {
      return `--${flag.name}` === given || `-${flag.short}` === given;
    }));
    let hint = `Run \`${name} --help\` to see its flags.`;
    if (meant !== undefined) hint = `Did you mean ${meant}?`;
    else if (owner !== undefined) hint = `It belongs after the command: ${owner.name} ${given}.`;
    if (this.#command !== undefined && meant === undefined) {
      hint = `Run \`${name} --help\` to see its flags.`;
    }
    return new UsageError(`${name} has no flag ${given}.`, hint);
  }
}

function unknownCommand(word: string): UsageError {
  const meant = suggest(word, commands.map(({ name }) => name));
  const hint = meant === undefined
    ? 'Run `catavmm --help` to see the commands.'
    : `Did you mean ${meant}?`;
  return new UsageError(`There is no command "${word}".`, hint);
}

/** `line=TEXT` among the choices stands for any text after `line=`. */
function checkChoice(flag: FlagSpec, value: string, given: string): void {
  const { choices } = flag;
  if (choices === undefined) return;
  const fits = choices.some((choice) => {
    const equals = choice.indexOf('=');
    if (equals < 0) return choice === value;
    return value.startsWith(choice.slice(0, equals + 1)) && value.length > equals + 1;
  });
  if (fits) return;
  const meant = suggest(value, choices);
  throw new UsageError(
    `${given}: "${value}" is not one of ${choices.join(', ')}.`,
    meant === undefined ? '' : `Did you mean ${meant}?`,
  );
}

/** The variable that can stand for a flag; undefined for flags that have none. */
export function environmentName(flag: FlagSpec): string | undefined {
  if (flag.repeat === true || flag.name === 'help' || flag.name === 'version') return undefined;
  return `CATAVMM_${flag.name.toUpperCase().replaceAll('-', '_')}`;
}

/** Splits the words after the program's name. @throws UsageError */
export function parseArguments(words: readonly string[], environment: Environment): Arguments {
  return new Parser(words, environment).parse();
}

/** Whether there are as many operands as the command takes. @throws UsageError */
export function checkOperands(args: Arguments): void {
  const command = args.command === undefined ? undefined : findCommand(args.command);
  if (command === undefined) return;
  const { low, high, what } = command.operands;
  const count = args.operands.length;
  if (count >= low && count <= high) return;
  throw new UsageError(
    `catavmm ${command.name} takes ${what}, not ${count}.`,
    `Usage: catavmm ${command.name} ${command.usage}`,
  );
}
