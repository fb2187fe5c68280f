// Elements declare what they can do; a page without any of them needs nothing.
for (const head of document.querySelectorAll("th[data-sort]")) head.firstElementChild.addEventListener("click", () => sort(head));
for (const search of document.querySelectorAll("input[data-filters]")) search.addEventListener("input", () => filter(search));
for (const image of document.querySelectorAll("img[data-enlarge]"))
  image.addEventListener("click", () => image.parentElement.classList.toggle("wide"));

// A column of `data-sort="number"` begins with its largest, one of "text" with its first; cells without a number come last.
function sort(head) {
  const ofText = head.dataset.sort === "text", table = head.closest("table"), body = table.tBodies[0];
  const first = ofText ? "ascending" : "descending", second = ofText ? "descending" : "ascending";
  const order = head.getAttribute("aria-sort") === first ? second : first, sign = order === "ascending" ? 1 : -1;
  for (const other of head.parentElement.cells) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", order);
  const key = row => {
    const text = row.cells[head.cellIndex].textContent.trim();
    return ofText ? text : parseFloat(text.replaceAll(",", ""));
  };
  const compare = (x, y) => ofText ? sign * x.localeCompare(y) : isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) : sign * (x - y);
  const rows = [...body.rows].map(row => [key(row), row]);
  body.append(...rows.sort((one, other) => compare(one[0], other[0])).map(row => row[1]));
}

// `data-filters` selects the elements to show or hide, each searched by its `data-name`, in lower case.
function filter(search) {
  const wanted = search.value.trim().toLowerCase();
  for (const element of document.querySelectorAll(search.dataset.filters)) element.hidden = !element.dataset.name.includes(wanted);
}
