import type { Question } from "./message.ts";
import { fold } from "./names.ts";

/** Questions in one step, and milliseconds until the next step asks the rest. */
const maxQuestions = 64;
const pauseMs = 250;
/** Far more than one step's worth waits only in an attack; it is cut here. */
const maxWaiting = 1_024;

/** Keeps what others make us ask to a bearable rate. */
export class QuestionBacklog {
  #waiting: Question[] = [];
  #notBefore = 0;

  due(): number {
    return this.#waiting.length > 0 ? this.#notBefore : Number.POSITIVE_INFINITY;
  }

  add(questions: readonly Question[]): void {
    if (questions.length === 0) return;
    const unique = new Map(
      [...this.#waiting, ...questions].map((one) => [`${one.type} ${fold(one.name)}`, one]),
    );
    this.#waiting = [...unique.values()].slice(0, maxWaiting);
  }

  take(now: number): Question[] {
    if (this.#waiting.length === 0 || now < this.#notBefore) return [];
    const taken = this.#waiting.splice(0, maxQuestions);
    this.#notBefore = taken.length === maxQuestions ? now + pauseMs : 0;
    return taken;
  }
}
