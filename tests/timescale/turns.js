// Whose turn it is: an engine has one session, so that connections take turns, a transaction at a time.

/** The turn did not come in time. */
export class TurnError extends Error {}

export class Turns {
  #waiting = [];
  #patience;
  holder = null;

  /** @param {number} patience how long a client waits, in milliseconds */
  constructor(patience) {
    this.#patience = patience;
  }

  /** Wait for the turn; the first to come is the first to get it. */
  async take(client) {
    if (this.holder === null) {
      this.holder = client;
      return;
    }
    await new Promise((resolve, reject) => {
      const waiter = { client, resolve };
      // Two connections of one task would otherwise wait for each other for good.
      waiter.timer = setTimeout(() => {
        this.#waiting.splice(this.#waiting.indexOf(waiter), 1);
        reject(new TurnError(
          `another connection was in a transaction for ${this.#patience / 1000} s; ` +
          "this server has one session, and connections take turns",
        ));
      }, this.#patience);
      this.#waiting.push(waiter);
    });
  }

  /** Give the turn to the next one. */
  give() {
    const next = this.#waiting.shift();
    clearTimeout(next?.timer);
    this.holder = next?.client ?? null;
    next?.resolve();
  }
}
