// Requests to the server, and the line that says what went wrong.
import { $ } from "/elements.js";

let pending = 0; // requests, tiles and paintings that are waited for
export function busy(change) {
  pending += change;
  document.body.setAttribute("aria-busy", pending > 0);
}

export async function send(address, options) {
  busy(1);
  try {
    const answer = await fetch(address, options).catch(() => {
      throw new Error("There is no answer: is the command still running?");
    });
    const result = await answer.json();
    if (!answer.ok) throw new Error(result.error);
    return result;
  } finally { busy(-1); }
}

export const ask = (address, value, method = "POST") =>
  send(address, { method, body: value === undefined ? undefined : JSON.stringify(value) });

// Say one line; `by` is the handler that failed, whose next success clears the line.
export function say(text, by = null) {
  say.by = by;
  $("message").textContent = text;
  $("message").hidden = !text;
}

// Run a handler; what goes wrong becomes one line on the page.
export const guarded = handler => async (...values) => {
  try {
    await handler(...values);
    if (say.by === handler) say("");
  } catch (error) { say(error.message, handler); }
};

// The same for what a person does, which also clears what was said before.
export const action = handler => guarded((...values) => { say(""); return handler(...values); });

// Return a function that runs a task at once, and while it runs keeps only the last call for afterwards.
export function latest(task) {
  let running = false, again = false;
  return async () => {
    again = true;
    if (running) return;
    running = true;
    while (again) {
      again = false;
      await guarded(task)();
    }
    running = false;
  };
}
