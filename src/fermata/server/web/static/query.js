// Ctrl or Cmd with Enter runs the query; everything else works without script.
"use strict";
(() => {
  const text = document.getElementById("q");
  text.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      text.form.requestSubmit();
    }
  });
})();
