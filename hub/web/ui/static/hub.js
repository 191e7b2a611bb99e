// One of Hubspoke's two scripts. Every page works without them; this one keeps pages fresh, follows logs, asks before
// destructive actions, and copies text. It builds no HTML: everything it shows was rendered by the server.

const POLL = 15000;      // the safety net beside wake-ups, in milliseconds
const GAP = 700;         // least time between two refreshes
const MAX_LINES = 2000;  // log lines kept on the page
const page = document.body;
const sign = document.getElementById("live-sign");
document.documentElement.classList.add("js");

async function fetchPage(address) {
  const headers = { Accept: "text/html", "X-Hub-Fragment": "1" };
  const answer = await fetch(address, { headers, credentials: "same-origin" });
  if (answer.status === 401) location.reload();  // signed out meanwhile
  if (!answer.ok) throw new Error(String(answer.status));
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// --- fresh fragments ----------------------------------------------------------------------------------------------

// What a form carries once is new in every answer: that alone is no change.
const essence = (part) => part.innerHTML.replace(/name="command_id" value="[^"]*"/g, "");
const shown = new Map();
for (const part of document.querySelectorAll("[data-live]")) shown.set(part.id, essence(part));

function spot(one) {  // how to find the same link or button in fresh HTML
  if (one.id) return `#${CSS.escape(one.id)}`;
  const name = one.matches("a") ? "href" : "action";
  const place = CSS.escape((one.matches("a") ? one : one.form)?.getAttribute(name) ?? "");
  return one.matches("a") ? `a[href="${place}"]` : `form[action="${place}"] button`;
}

function place(part) {  // whoever reads further down stays at the line he reads
  const rows = part.getBoundingClientRect().top < 0 ? [...part.querySelectorAll("[data-key]")] : [];
  const seen = rows.find((row) => row.getBoundingClientRect().bottom > 0);
  const at = seen?.getBoundingClientRect().top;
  return () => {
    const row = seen && part.querySelector(`[data-key="${CSS.escape(seen.dataset.key)}"]`);
    if (row) scrollBy({ top: row.getBoundingClientRect().top - at, behavior: "instant" });
  };
}

function tellArrivals(part, fresh) {
  const said = document.getElementById(part.dataset.arrivals ?? "");
  if (!said) return;
  const keys = (one) => [...one.querySelectorAll("[data-key]")].map((row) => row.dataset.key);
  const known = new Set(keys(part));
  const count = keys(fresh).findIndex((key) => known.has(key));  // those above the first one that was there
  const more = (Number(said.dataset.count) || 0) + (known.size ? Math.max(0, count) : keys(fresh).length);
  if (!more) return;
  said.dataset.count = more;
  said.hidden = false;
  said.textContent = `${more} new since you opened this page`;
}

function swap(part, fresh) {
  const selection = getSelection();
  if (!selection.isCollapsed && part.contains(selection.anchorNode)) return;  // somebody is about to copy
  const open = [...part.querySelectorAll("details[open][id]")].map((one) => one.id);
  const focus = part.contains(document.activeElement) ? spot(document.activeElement) : "";
  shown.set(part.id, essence(fresh));
  const kept = place(part);
  tellArrivals(part, fresh);
  part.replaceChildren(...fresh.childNodes);
  kept();
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focus) part.querySelector(focus)?.focus({ preventScroll: true });
}

async function refresh() {
  const next = await fetchPage(page.dataset.fresh || location.href);
  for (const part of document.querySelectorAll("[data-live]")) {
    const fresh = next.getElementById(part.id);
    if (fresh && shown.get(part.id) !== essence(fresh)) swap(part, fresh);
  }
  if (!page.dataset.fresh) document.title = next.title;
}

// --- logs ---------------------------------------------------------------------------------------------------------

async function follow() {
  const log = document.querySelector("[data-follow]");
  if (!log) return;
  const next = await fetchPage(`${log.dataset.follow}&after=${log.dataset.after}`);
  const fresh = next.querySelector("[data-after]");
  const lines = [...fresh.children];
  if (!lines.length) return;
  document.getElementById("log-empty")?.remove();
  log.hidden = false;
  log.dataset.after = fresh.dataset.after;
  log.append(...lines);
  while (log.children.length > MAX_LINES) log.firstElementChild.remove();
  if (document.getElementById("log-tail")?.checked) log.scrollTop = log.scrollHeight;
  if (fresh.dataset.more) await follow();
}

// --- one stream a page, only while somebody looks at it ------------------------------------------------------------

let stream, timer, busy = false, again = new Set(), last = 0;

async function update() {
  timer = undefined;
  if (busy) return;
  busy = true;
  const topics = again;
  again = new Set();
  try {
    if (topics.has("logs")) await follow();
    if ([...topics].some((topic) => topic !== "logs")) await refresh();
  } catch { /* the hub is away; the stream says so, the next wake-up or poll tries again */ }
  last = performance.now();
  busy = false;
  if (again.size) soon();
}

function soon(...topics) {
  for (const topic of topics) again.add(topic);
  timer ??= setTimeout(update, Math.max(0, GAP - (performance.now() - last)));
}

function listen() {
  const topics = page.dataset.topics;
  if (!topics || stream) return;
  stream = new EventSource(`/ui/stream?topics=${encodeURIComponent(topics)}`);
  stream.addEventListener("open", () => { sign.textContent = ""; soon("all", "logs"); });
  stream.addEventListener("changed", (event) => soon(...event.data.split(",")));
  stream.addEventListener("error", () => { sign.textContent = "Not live: the hub does not answer"; });
}

function rest() {
  stream?.close();
  stream = undefined;
}

addEventListener("pagehide", rest);
addEventListener("pageshow", (event) => event.persisted && listen());
document.addEventListener("visibilitychange", () => (document.hidden ? rest() : listen()));
setInterval(() => page.dataset.topics && !document.hidden && soon("all", "logs"), POLL);
if (!document.hidden) listen();
const log = document.querySelector("[data-follow]");
if (log && document.getElementById("log-tail")?.checked) log.scrollTop = log.scrollHeight;

// --- questions and copies -----------------------------------------------------------------------------------------

async function ask(address) {
  const question = (await fetchPage(address)).querySelector(".confirm");
  const dialog = document.createElement("dialog");
  dialog.append(question);
  dialog.setAttribute("aria-labelledby", "question");
  dialog.addEventListener("close", () => dialog.remove());
  dialog.querySelector("[data-back]").addEventListener("click", (event) => { event.preventDefault(); dialog.close(); });
  page.append(dialog);
  dialog.showModal();
}

async function copy(button) {
  try {
    await navigator.clipboard.writeText(button.previousElementSibling.textContent);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(button.previousElementSibling);
    button.textContent = "Selected";
  }
  setTimeout(() => { button.textContent = "Copy"; }, 2000);
}

document.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    ask(link.href).catch(() => location.assign(link.href));
  }
  const button = event.target.closest("[data-copy]");
  if (button) copy(button);
});
