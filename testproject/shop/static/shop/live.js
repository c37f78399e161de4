// Keep every [data-live] region fresh: fetch its fragment again for as long as the fragment asks for it
// with data-again (milliseconds). Without this file the pages work too; they are just not refreshed.
"use strict";

for (const region of document.querySelectorAll("[data-live]")) {
  watch(region);
}

function watch(region) {
  let shown = region.innerHTML;
  let failures = 0;

  async function look() {
    if (document.hidden) {
      document.addEventListener("visibilitychange", look, { once: true });
      return;
    }
    try {
      const response = await fetch(region.dataset.live, { headers: { Accept: "text/html" } });
      if (!response.ok) throw new Error(response.statusText);
      show(await response.text());
      failures = 0;
    } catch {
      failures += 1;
    }
    again();
  }

  function show(html) {
    if (html === shown) return;
    shown = html;
    const focused = region.contains(document.activeElement) && document.activeElement.id;
    region.innerHTML = html;
    if (focused) document.getElementById(focused)?.focus();
    announce(region.firstElementChild.dataset.summary);
  }

  function again() {
    const pause = Number(region.firstElementChild?.dataset.again);
    if (pause) setTimeout(look, Math.min(pause * 2 ** failures, 30000));
  }

  again();
}

function announce(summary) {
  const status = document.querySelector("[data-live-status]");
  if (status && summary && status.textContent !== summary) status.textContent = summary;
}

// The job of a <backie-progress> has ended: the page has its result now.
document.addEventListener("backie:ended", () => location.reload());
