// What pages do beyond their HTML, which works without any of this: parts that keep themselves up to date, a button
// that copies, and a word on what takes a moment.

// A browser comes again by itself where a connection breaks, and gives up where it is refused: by a server that is just
// starting, or because the session is over.
const TRIES = 3;
const COME_AGAIN_MS = 2000;

function live(element, tries) {
  const source = new EventSource(element.dataset.live);
  const replace = (id, html) => {
    const part = document.getElementById(id);
    const fresh = document.createElement("template");
    fresh.innerHTML = html;
    // What has not changed stays: whoever is about to click it must not click into nothing.
    if (!part || part.innerHTML.trim() === fresh.innerHTML.trim()) return;
    // Whoever is on a button in there stays on it.
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(fresh.content);
    if (focused) document.getElementById(focused)?.focus();
  };
  for (const id of element.dataset.parts.split(",")) {
    source.addEventListener(id, (event) => replace(id, event.data));
  }
  source.addEventListener("end", () => source.close());
  source.addEventListener("open", () => { tries = 0; });
  source.addEventListener("error", () => {
    if (source.readyState !== EventSource.CLOSED) return;
    if (tries < TRIES) setTimeout(live, COME_AGAIN_MS * 2 ** tries, element, tries + 1);
    else document.getElementById("stopped").hidden = false;
  });
  // A browser holds few connections to one host: a page that is left gives its own back.
  addEventListener("pagehide", () => source.close());
}

document.querySelectorAll("[data-live]").forEach((element) => live(element, 0));

document.querySelectorAll("[data-copy]").forEach((button) => {
  const field = document.getElementById(button.dataset.copy);
  const said = document.getElementById("said");
  button.hidden = false;
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      said.textContent = button.textContent = "Copied";
    } catch {
      said.textContent = "The link is selected: copy it from there.";
    }
  });
});

document.addEventListener("submit", (event) => {
  const button = event.submitter;
  if (!button?.dataset.busy) return;
  if (button.getAttribute("aria-disabled") === "true") {
    event.preventDefault();
    return;
  }
  button.setAttribute("aria-disabled", "true");
  button.textContent = button.dataset.busy;
  document.getElementById("said").textContent = button.dataset.busy;
});

// Back from another page, a browser shows this one as it was left.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
