// The keyboard: every key once, which is also what the help shows.

/** Listen for keys; `keys` are {keys, does, says}. Keys with Ctrl, Alt or Meta stay the browser's. */
export function listen(keys) {
  const byKey = new Map(keys.flatMap((one) => one.keys.map((key) => [key, one.does])));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target;
    if (target.closest("input:not([type=checkbox]), select, textarea, dialog")) return;
    // Space and Enter press what has the focus.
    if ([" ", "Enter"].includes(event.key) && target.closest("button, summary, a, input, [role=slider]")) return;
    const key = event.shiftKey && event.key.startsWith("Arrow") ? `Shift+${event.key}` : event.key;
    const does = byKey.get(key);
    if (!does) return;
    event.preventDefault();
    does(key);
  });
}

/** Fill the help's table with the keys. */
export function fillHelp(list, keys) {
  const names = { " ": "Space", ArrowLeft: "←", ArrowRight: "→", "Shift+ArrowLeft": "Shift ←", "Shift+ArrowRight": "Shift →" };
  for (const { keys: words, says } of keys) {
    const row = document.createElement("tr");
    const left = document.createElement("th");
    left.scope = "row";
    words.forEach((word, at) => {
      if (at) left.append(" ");
      const key = document.createElement("kbd");
      key.textContent = names[word] ?? word;
      left.append(key);
    });
    const right = document.createElement("td");
    right.textContent = says;
    row.append(left, right);
    list.append(row);
  }
}
