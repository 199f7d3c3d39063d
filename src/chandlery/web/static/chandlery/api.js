// The description of the API is Swagger's page, which has a dark dress of its own.
(() => {
  const root = document.documentElement, system = matchMedia("(prefers-color-scheme: dark)");
  const dress = () => root.classList.toggle("dark-mode", root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  system.addEventListener("change", dress);
  dress();
})();
