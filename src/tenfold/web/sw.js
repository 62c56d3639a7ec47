// The page without a network: after the first visit everything comes from this browser's store.
// VERSION and FILES stand before this line in a bundle: what the files hold, and their names.

const MINE = `tenfold ${self.registration.scope} `; // other bundles on this host have stores of their own

self.addEventListener("install", (event) => {
  event.waitUntil(store().then(() => self.skipWaiting()));
});

async function store() {
  const cache = await caches.open(MINE + VERSION);
  await cache.addAll(FILES.map((file) => new Request(file, { cache: "reload" })));
}

self.addEventListener("activate", (event) => {
  event.waitUntil(dropOlder().then(() => self.clients.claim()));
});

async function dropOlder() {
  const names = await caches.keys();
  const older = names.filter((name) => name.startsWith(MINE) && name !== MINE + VERSION);
  await Promise.all(older.map((name) => caches.delete(name)));
}

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET") return;
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(MINE + VERSION);
  const wanted = request.mode === "navigate" ? self.registration.scope : request;
  return (await cache.match(wanted, { ignoreSearch: true })) ?? fetch(request);
}
