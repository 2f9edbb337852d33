// Adds a search field and a choice of status above long tables. Without it every row is there; it only hides and shows.
(function () {
  "use strict";
  function add(parent, tag, text) {
    var made = document.createElement(tag);
    if (text) { made.textContent = text; }
    parent.appendChild(made);
    return made;
  }
  function control(parent, tag, label, id) {
    var box = add(parent, "div");
    add(box, "label", label).htmlFor = id;
    var made = add(box, tag);
    made.id = id;
    return made;
  }
  document.querySelectorAll("table[data-filter]").forEach(function (table, number) {
    var rows = Array.from(table.tBodies[0].rows);
    if (rows.length < 8) { return; }
    var caption = table.caption.textContent;
    var texts = rows.map(function (row) { return row.textContent.toLowerCase(); });
    var bar = document.createElement("div");
    bar.className = "filter";
    bar.setAttribute("role", "search");
    bar.setAttribute("aria-label", caption);
    var words = control(bar, "input", "Show rows with these words", "filter-words-" + number);
    words.type = "search";
    var choices = Array.from(new Set(rows.map(function (row) { return row.dataset.status || ""; }))).filter(Boolean).sort();
    var chosen = null;
    if (choices.length > 1) {
      chosen = control(bar, "select", table.dataset.filter, "filter-status-" + number);
      add(chosen, "option", "All").value = "";
      choices.forEach(function (choice) { add(chosen, "option", choice).value = choice; });
    }
    var told = add(bar, "p");
    told.setAttribute("role", "status");
    function apply() {
      var wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      var shown = 0;
      rows.forEach(function (row, index) {
        var fits = (!chosen || !chosen.value || row.dataset.status === chosen.value) &&
          wanted.every(function (word) { return texts[index].indexOf(word) !== -1; });
        row.hidden = !fits;
        if (fits) { shown += 1; }
      });
      told.textContent = shown + " of " + rows.length + " rows shown";
    }
    words.addEventListener("input", apply);
    if (chosen) { chosen.addEventListener("change", apply); }
    apply();
    var region = table.parentNode;
    region.parentNode.insertBefore(bar, region);
  });
}());
