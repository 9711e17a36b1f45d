// Spares a reload: when the server says that something changed, the page's living parts are fetched again.
(() => {
  const source = document.querySelector("[data-live-source]");
  if (!source || !window.EventSource) return;
  const events = new EventSource(source.dataset.liveSource);
  let busy = false, again = false;
  const refresh = async () => {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
      if (answer.ok && !answer.redirected) {
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        for (const part of document.querySelectorAll("[data-live]")) {
          const fresh = page.getElementById(part.id);
          // What was unfolded stays so.
          const folds = part.querySelectorAll("details");
          fresh?.querySelectorAll("details").forEach((fold, number) => fold.toggleAttribute("open", !!folds[number]?.open));
          // What somebody is using stays under their fingers.
          if (fresh && fresh.innerHTML !== part.innerHTML && !part.contains(document.activeElement)) part.replaceWith(fresh);
        }
      }
    } finally {
      busy = false;
      if (again) { again = false; refresh(); }
    }
  };
  events.addEventListener("changed", refresh);
  addEventListener("pagehide", () => events.close());
})();
