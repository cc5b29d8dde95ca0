// Sort the ranking by the column whose heading is pressed. Without a script it stays as written, most anomalous first.
const table = document.getElementById("table");
const body = table.tBodies[0];
const headings = [...table.tHead.rows[0].cells];
headings.forEach((heading, column) => {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    headings.forEach((other) => other.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const isText = heading.textContent === "Recording";
    const compare = (one, other) => {
      const [left, right] = [one, other].map((row) => row.cells[column].dataset.value);
      const order = isText ? left.localeCompare(right, "en", { numeric: true }) : Number(left) - Number(right) || 0;
      return ascending ? order : -order;
    };
    body.append(...[...body.rows].sort(compare));
  });
});
