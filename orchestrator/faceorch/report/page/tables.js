// Tables: rows sorted by a click on a heading, columns hidden by a menu. Without it, they are tables all the same.

/** Make a table sortable; rows without a value (data-value) come last, whatever the direction. */
function sortable(table) {
  const body = table.tBodies[0];
  table.querySelectorAll("thead button.sort").forEach((button) => {
    const heading = button.closest("th");
    button.addEventListener("click", () => {
      const up = heading.getAttribute("aria-sort") !== "ascending";
      for (const other of table.querySelectorAll("th[aria-sort]")) other.removeAttribute("aria-sort");
      heading.setAttribute("aria-sort", up ? "ascending" : "descending");
      const column = heading.dataset.column;
      const value = (row) => row.querySelector(`[data-column="${CSS.escape(column)}"]`)?.dataset.value ?? "";
      const compared = (one, other) => {
        const [first, second] = [value(one), value(other)];
        if (first === "" || second === "") return Number(first === "") - Number(second === "");
        const [x, y] = [Number(first), Number(second)];
        const order = Number.isNaN(x) || Number.isNaN(y) ? first.localeCompare(second) : x - y;
        return up ? order : -order;
      };
      [...body.rows].sort(compared).forEach((row) => body.append(row));
    });
  });
}

/** Let the boxes of a menu hide and show the columns that they name. */
function hideable(box, table) {
  box.addEventListener("change", (event) => {
    const column = event.target.value;
    for (const cell of table.querySelectorAll(`[data-column="${CSS.escape(column)}"]`)) {
      cell.classList.toggle("away", !event.target.checked);
    }
  });
}

export function setUpTables(root) {
  for (const box of root.querySelectorAll("[data-table]")) {
    const table = box.querySelector("table");
    sortable(table);
    const menu = box.querySelector(".columns");
    if (menu) hideable(menu, table);
  }
}
