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

  // Colours of a page's variables become plain ones, or the saved file would be black.
  var colors = JSON.parse(document.getElementById("colors").textContent);
  function save(button) {
    var picture = document.querySelector("#figure-" + button.dataset.save + " .drawing svg").cloneNode(true);
    picture.setAttribute("xmlns", "http://www.w3.org/2000/svg");
    picture.setAttribute("font-family", "DejaVu Sans, Verdana, sans-serif");
    var text = new XMLSerializer().serializeToString(picture).replace(/var\((--[a-z0-9-]+)\)/g, function (all, name) { return colors[name]; });
    var link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "image/svg+xml" }));
    link.download = button.dataset.save + ".svg";
    link.click();
    URL.revokeObjectURL(link.href);
  }
  document.querySelectorAll("[data-save]").forEach(function (button) {
    button.addEventListener("click", function () { save(button); });
  });
  document.querySelectorAll("[data-copy]").forEach(function (button) {
    button.addEventListener("click", function () {
      var chosen = getSelection();
      chosen.selectAllChildren(document.getElementById(button.dataset.copy));
      document.execCommand("copy");
    });
  });

  document.querySelectorAll("table.filtered").forEach(function (table) {
    var box = table.closest(".scroll"), input = document.createElement("input");
    input.type = "search";
    input.className = "filter";
    input.placeholder = "Filter rows";
    input.setAttribute("aria-label", "Filter rows of " + box.getAttribute("aria-label"));
    input.addEventListener("input", function () {
      var wanted = input.value.toLowerCase();
      Array.prototype.forEach.call(table.tBodies[0].rows, function (row) {
        row.hidden = row.textContent.toLowerCase().indexOf(wanted) < 0;
      });
    });
    box.parentNode.insertBefore(input, box);
  });

  // The numbers of figures stay closed: they are wider than a sheet, and the CSV link holds them.
  window.addEventListener("beforeprint", function () {
    document.querySelectorAll("details.card:not(.appendix)").forEach(function (item) { item.open = true; });
  });
})();
