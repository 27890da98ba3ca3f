"use strict";
(function () {
  var root = document.documentElement;
  function remember(theme) { try { localStorage.setItem("theme", theme); } catch (e) { return; } }
  try { if (localStorage.getItem("theme")) root.dataset.theme = localStorage.getItem("theme"); } catch (e) { root.dataset.theme = ""; }
  document.getElementById("theme").addEventListener("click", function () {
    var dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    remember(root.dataset.theme);
  });

  function key(row, column) {
    var cell = row.cells[column];
    return cell.dataset.sort !== undefined ? cell.dataset.sort : cell.textContent.trim().replace(/[,\u202f]/g, "");
  }
  function compare(a, b) {
    var x = parseFloat(a), y = parseFloat(b);
    if (isNaN(x) && isNaN(y)) return a.localeCompare(b);
    if (isNaN(x)) return 1;
    return isNaN(y) ? -1 : x - y;
  }
  document.querySelectorAll("table.sortable").forEach(function (table) {
    var heads = Array.prototype.slice.call(table.tHead.rows[0].cells);
    heads.forEach(function (head, column) {
      var button = document.createElement("button");
      button.type = "button";
      while (head.firstChild) button.appendChild(head.firstChild);
      head.appendChild(button);
      button.addEventListener("click", function () {
        var sign = head.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        heads.forEach(function (other) { other.removeAttribute("aria-sort"); });
        head.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        var rows = Array.prototype.slice.call(table.tBodies[0].rows);
        rows.sort(function (a, b) {
          var order = compare(key(a, column), key(b, column));
          return isNaN(parseFloat(key(a, column))) || isNaN(parseFloat(key(b, column))) ? order : sign * order;
        }).forEach(function (row) { table.tBodies[0].appendChild(row); });
      });
    });
  });

  // The numbers of figures stay closed: they are wider than a sheet, and the CSV link holds them.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details.card").forEach(function (item) { item.open = true; });
  });
})();
