// A page opened from disk may not load modules: then it says what to do. A classic script, which may run there.

if (location.protocol === "file:") {
  const state = document.getElementById("state");
  state.classList.add("trouble");
  state.textContent =
    "Opened from disk, a browser does not load this page's program. Start a server in this folder " +
    "(python3 -m http.server) and open http://localhost:8000/.";
}
