"use strict";
// Sorting by a click on a heading; without script the table is whole, worst case first.
for (const table of document.querySelectorAll("table[data-sortable]")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, index) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const key = (row) => row.cells[index].dataset.value;
      const rows = [...table.tBodies[0].rows].sort((a, b) => {
        const [x, y] = [key(a), key(b)];
        if (x === undefined || y === undefined) return (x === undefined) - (y === undefined);
        const [n, m] = [Number(x), Number(y)];
        const order = Number.isNaN(n) || Number.isNaN(m) ? x.localeCompare(y, "en", { numeric: true }) : n - m;
        return up ? order : -order;
      });
      table.tBodies[0].append(...rows);
    });
  });
}
