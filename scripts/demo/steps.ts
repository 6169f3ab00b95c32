/** Where the demo writes; a terminal gets colours and a line that changes in place. */
export interface Screen {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

/** Take down what is being waited for; printed when it changes. */
export type Tell = (text: string) => void;

/** Numbered steps, each with its progress and its time. */
export class Steps {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #begin: number;
  readonly #colour: boolean;
  #count = 0;

  /** `now` gives milliseconds. */
  constructor(screen: Screen, now: () => number, options: { colour?: boolean } = {}) {
    this.#screen = screen;
    this.#now = now;
    this.#begin = now();
    this.#colour = options.colour ?? screen.isTTY === true;
  }

  /** Do one step; its result. What it tells is shown with the seconds since the step began. */
  async step<T>(title: string, work: (tell: Tell) => Promise<T>): Promise<T> {
    this.#count += 1;
    this.#line(this.#bold(`${String(this.#count).padStart(2)}. ${title}`));
    const begin = this.#now();
    let last = "";
    const tell: Tell = (text) => {
      if (text === last) return;
      last = text;
      this.#line(`${this.#dim(seconds(this.#now() - begin).padStart(10))}  ${text}`);
    };
    try {
      const result = await work(tell);
      this.#line(`${this.#green(seconds(this.#now() - begin).padStart(10))}  ${this.#green("done")}`);
      return result;
    } catch (error) {
      this.#line(`${this.#red(seconds(this.#now() - begin).padStart(10))}  ${this.#red("failed")}`);
      throw error;
    }
  }

  /** A heading and a text that belongs to no step. */
  show(heading: string, text: string): void {
    this.#line(`\n${this.#bold(heading)}\n${text.trimEnd()}`);
  }

  /** Seconds since the first step, for people. */
  total(): string {
    return seconds(this.#now() - this.#begin);
  }

  #line(text: string): void {
    this.#screen.write(`${text}\n`);
  }

  #paint(code: number, text: string): string {
    return this.#colour ? `\u001b[${code}m${text}\u001b[0m` : text;
  }

  #bold(text: string): string {
    return this.#paint(1, text);
  }

  #dim(text: string): string {
    return this.#paint(2, text);
  }

  #green(text: string): string {
    return this.#paint(32, text);
  }

  #red(text: string): string {
    return this.#paint(31, text);
  }
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(1)} s`;
}
