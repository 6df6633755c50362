// Keeps a page up to date: where an event says that it would be another one by now, it is fetched anew, and what is marked live is
// put in the place of what it was. What a person types, chose or has focus on stays. The page is whole without this.

const { events } = document.body.dataset;
const known = new Map();
let source = null;
let busy = false;
let again = false;

function parts(of) {
  return of.querySelectorAll("[data-live][id]");
}

/** How long ago, in words beside each time. */
function tellAges() {
  const units = [["day", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  for (const time of document.querySelectorAll("time[datetime]")) {
    const seconds = Math.max(0, Math.round((Date.now() - Date.parse(time.dateTime)) / 1000));
    const [unit, length] = units.find(([, length]) => seconds >= length) ?? ["s", 1];
    const ago = `${Math.floor(seconds / length)} ${unit} ago`;
    if (time.dataset.ago !== ago) time.dataset.ago = ago;
  }
}

function focusables(part) {
  return [...part.querySelectorAll("a, button, input, select, summary, [tabindex]")];
}

/** Puts what is fresh in the place of what it was, where it differs. */
function replace(part, fresh) {
  if (known.get(part.id) === fresh.innerHTML) return;
  known.set(part.id, fresh.innerHTML);
  const place = focusables(part).indexOf(document.activeElement);
  const opened = [...part.querySelectorAll("details")].map((each) => each.open);
  part.replaceChildren(...document.importNode(fresh, true).childNodes);
  part.querySelectorAll("details").forEach((each, index) => { each.open = opened[index] ?? false; });
  if (place >= 0) focusables(part)[place]?.focus({ preventScroll: true });
}

async function renew() {
  if (busy) {
    again = true;
    return;
  }
  busy = true;
  try {
    const response = await fetch(location.href, { headers: { Accept: "text/html" } });
    if (response.ok || response.status === 404) {
      const text = await response.text();
      const fresh = new DOMParser().parseFromString(text, "text/html");
      for (const part of parts(document)) {
        const other = fresh.getElementById(part.id);
        if (other) replace(part, other);
      }
      tellAges();
    }
  } catch {
    // The next event, or the connection that comes back, tries again.
  } finally {
    busy = false;
    if (again) {
      again = false;
      renew();
    }
  }
}

function listen() {
  if (source || document.hidden) return;
  source = new EventSource(events);
  source.addEventListener("change", renew);
  source.addEventListener("reset", renew);
}

// A hidden tab has no stream: browsers allow a server few connections.
function follow() {
  if (document.hidden) {
    source?.close();
    source = null;
    return;
  }
  renew();
  listen();
}

for (const part of parts(document)) known.set(part.id, part.innerHTML);
tellAges();
setInterval(tellAges, 10000);
if (events) {
  listen();
  document.addEventListener("visibilitychange", follow);
  window.addEventListener("pagehide", () => source?.close());
}
