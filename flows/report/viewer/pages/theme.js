// Light, dark, or what the system says; the choice is kept where the browser keeps anything for files.
"use strict";

(() => {
  const ORDER = ["system", "light", "dark"];
  const read = () => {
    try {
      return localStorage.getItem("coldforge-theme");
    } catch {
      return null;
    }
  };
  const apply = (theme) => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    document.dispatchEvent(new Event("theme"));
  };
  let theme = ORDER.includes(read()) ? read() : "system";
  apply(theme);
  document.addEventListener("DOMContentLoaded", () => {
    const button = document.getElementById("theme");
    const tell = () => {
      button.textContent = `Theme: ${theme}`;
    };
    button.addEventListener("click", () => {
      theme = ORDER[(ORDER.indexOf(theme) + 1) % ORDER.length];
      try {
        localStorage.setItem("coldforge-theme", theme);
      } catch {
        // Then it holds for this page alone.
      }
      apply(theme);
      tell();
    });
    tell();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => document.dispatchEvent(new Event("theme")));
})();
