// The second of Hubspoke's two scripts: finding in a list while typing, sending a form without leaving the page, and
// going on by itself with what is done in steps. Without it each is a form that the server answers with a page.

// --- find while typing --------------------------------------------------------------------------------------------

const finder = document.querySelector("[data-finder]");
if (finder) {
  const field = finder.querySelector("input");
  const items = [...document.querySelectorAll("[data-finder-list] > li")];
  const said = document.querySelector("[data-finder-said]");
  const links = () => items.filter((item) => !item.hidden).map((item) => item.querySelector("a"));

  const narrow = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    for (const item of items) item.hidden = !words.every((word) => item.dataset.words.includes(word));
    const count = links().length;
    document.querySelector("[data-finder-none]").hidden = count > 0;
    said.textContent = `${count} ${said.dataset.finderSaid}${count === 1 ? "" : "s"}`;
  };

  // The list is a grid: up and down go to the nearest one in the next line, left and right to the neighbour.
  const step = (from, key) => {
    const all = links();
    const at = all.indexOf(from);
    if (at < 0) return key === "ArrowDown" ? all[0] : undefined;
    if (key === "ArrowLeft" || key === "ArrowRight") return all[at + (key === "ArrowRight" ? 1 : -1)];
    const middle = (one) => one.getBoundingClientRect().left;
    const top = (one) => Math.round(one.getBoundingClientRect().top);
    const down = key === "ArrowDown";
    const beyond = all.filter((one) => (down ? top(one) > top(from) : top(one) < top(from)));
    const line = beyond.length && (down ? Math.min : Math.max)(...beyond.map(top));
    const far = (one) => Math.abs(middle(one) - middle(from));
    return beyond.filter((one) => top(one) === line).sort((a, b) => far(a) - far(b))[0] ?? (down ? undefined : field);
  };

  field.addEventListener("input", narrow);
  finder.addEventListener("submit", (event) => {
    const first = links()[0];
    event.preventDefault();
    if (first) location.assign(first.href);
  });
  document.addEventListener("keydown", (event) => {
    const inside = event.target === field || event.target.closest?.("[data-finder-list]");
    if (!inside || !event.key.startsWith("Arrow") || event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.target === field && event.key !== "ArrowDown") return;  // the caret's own keys
    const next = step(event.target, event.key);
    if (next) { event.preventDefault(); next.focus(); }
  });
  if (field.value) narrow();
}

// --- send, and stay -----------------------------------------------------------------------------------------------

async function send(form) {
  const said = document.getElementById(form.dataset.stay);
  const button = form.querySelector("button");
  button.disabled = true;
  try {
    const body = new URLSearchParams(new FormData(form));
    const answer = await fetch(form.action, { method: "POST", body, headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const told = page.querySelector(answer.ok ? "main > [role=status]" : ".refusal h1 + p");
    said.textContent = told?.textContent.trim() || `The hub answered ${answer.status}.`;
    const fresh = page.querySelector("[name=command_id]");  // or the next one would be taken for this one
    if (fresh) form.elements.command_id.value = fresh.value;
  } catch {
    said.textContent = "The hub does not answer.";
  }
  button.disabled = false;
}

document.addEventListener("submit", (event) => {
  if (!event.target.matches("form[data-stay]")) return;
  event.preventDefault();
  send(event.target);
});

// --- go on by itself ----------------------------------------------------------------------------------------------

document.querySelector("form[data-go-on]")?.requestSubmit();
