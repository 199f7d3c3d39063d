// Before anything is drawn: the theme that was chosen here, or none, and then the system's counts.
(() => {
  const chosen = localStorage.getItem("chandlery-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
