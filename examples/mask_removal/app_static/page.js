// Photos stay in this tab. They go to the server with an order, and its pictures are fetched once: it keeps none.
window.page = (() => {
  const files = { photo: null, reference: null };
  let turn = 0;         // counts photos: an answer for an earlier one is not shown
  let asked = 0;
  let shownWindow = null;
  let waiting = [];     // tickets that the server still holds
  let urls = [];

  const drop = (role) => document.querySelector(`.drop[data-role="${role}"]`);
  const url = (blob) => { const made = URL.createObjectURL(blob); urls.push(made); return made; };

  function reset() {
    turn += 1;
    document.body.classList.remove("has-result", "has-hole", "working");
    urls.forEach((made) => URL.revokeObjectURL(made));
    urls = [];
    shownWindow = null;
    window.brush.clear();
    document.getElementById("download").removeAttribute("href");
    document.querySelectorAll("#status p").forEach((line) => line.remove());
  }

  function clear(role, note = "") {
    const zone = drop(role), image = zone.querySelector("img");
    if (image.src) URL.revokeObjectURL(image.src);
    image.removeAttribute("src");
    image.hidden = true;
    zone.querySelector("input").value = "";
    zone.classList.remove("filled", "busy");
    zone.querySelector(".note").textContent = note;
    files[role] = null;
    if (role === "photo") reset();
  }

  async function pick(role, file) {
    clear(role);
    const zone = drop(role), most = Number(zone.dataset.mostMb);
    if (file.size > most * 1e6) {
      return clear(role, `${file.name} has ${Math.round(file.size / 1e6)} MB; at most ${most} MB are taken. Shrink it first.`);
    }
    files[role] = file;
    zone.classList.add("busy");
    const name = encodeURIComponent(file.name);
    const reply = await fetch(`preview?name=${name}`, { method: "POST", body: file }).catch(() => null);
    if (files[role] !== file) return; // another one was chosen meanwhile
    if (!reply || !reply.ok) return clear(role, reply ? await reply.text() : "The server does not answer.");
    const image = zone.querySelector("img");
    image.src = URL.createObjectURL(await reply.blob());
    image.hidden = false;
    zone.classList.remove("busy");
    zone.classList.add("filled");
  }

  async function put(blob) {
    const reply = await fetch("put", { method: "POST", body: blob });
    const text = await reply.text();
    if (!reply.ok) throw new Error(text);
    waiting.push(text);
    return text;
  }

  const look = (where) => document.getElementById("status").scrollIntoView({ behavior: "smooth", block: where });

  async function order(withHole) {
    document.body.classList.add("working"); // the second click of a double one must not order again
    if (!withHole) document.body.classList.remove("has-result", "has-hole"); // what may come is another result, or none
    look("nearest");
    if (!files.photo) return { problem: "Choose a photo first." };
    asked = turn;
    try {
      const hole = withHole ? await window.brush.picture() : null;
      if (withHole && !hole) return { problem: "The hole is empty: paint over what is to be filled." };
      return {
        photo: await put(files.photo),
        reference: files.reference && await put(files.reference),
        hole: hole && await put(hole),
        window: withHole ? shownWindow : null,
      };
    } catch (error) {
      forget(waiting); // what was sent before it went wrong
      waiting = [];
      return { problem: error.message || "The server does not answer." };
    }
  }

  async function take(ticket) {
    const reply = await fetch(`take/${ticket}`);
    waiting = waiting.filter((other) => other !== ticket);
    if (!reply.ok) throw new Error(await reply.text());
    return reply.blob();
  }

  function forget(tickets) {
    if (tickets.length) navigator.sendBeacon("forget", JSON.stringify(tickets));
  }

  const ticketsOf = (reply) => [
    reply.result, reply.canvas, reply.hole, ...reply.views.flatMap((view) => [view.before, view.after, view.origin]),
  ].filter(Boolean);

  // Called with every answer; data-answers counts those that are on the page with all their pictures.
  async function show(reply) {
    try {
      waiting = []; // the server took what was sent
      if (reply && reply.views) await showPictures(reply);
      look(reply && reply.result ? "start" : "nearest");
    } finally {
      document.body.classList.remove("working");
      document.body.dataset.answers = Number(document.body.dataset.answers || 0) + 1;
    }
  }

  async function showPictures(reply) {
    if (asked !== turn) return forget(ticketsOf(reply));
    waiting = ticketsOf(reply);
    shownWindow = reply.window;
    if (reply.canvas) {
      document.body.classList.add("has-hole");
      await window.brush.load(await take(reply.canvas), await take(reply.hole));
    }
    if (!reply.result) return;
    const link = document.getElementById("download");
    link.href = url(await take(reply.result));
    link.download = files.photo.name.replace(/\.[^.]*$/, "") + "-unmasked.png";
    const views = [];
    for (const view of reply.views) {
      views.push({
        name: view.name,
        before: url(await take(view.before)), after: url(await take(view.after)), origin: url(await take(view.origin)),
      });
    }
    offer(views);
    document.body.classList.add("has-result");
  }

  function offer(views) {
    const choose = (view) => {
      for (const part of ["before", "after", "origin"]) document.querySelector(`#result img.${part}`).src = view[part];
    };
    document.querySelector("#result .switch").replaceChildren(...(views.length > 1 ? views : []).map((view, i) => {
      const label = document.createElement("label"), input = document.createElement("input");
      Object.assign(input, { type: "radio", name: "view", checked: i === 0, onchange: () => choose(view) });
      label.append(input, view.name);
      return label;
    }));
    choose(views[0]);
  }

  document.addEventListener("change", (event) => {
    const zone = event.target.closest(".drop");
    if (zone && event.target.files?.length) pick(zone.dataset.role, event.target.files[0]);
  });
  document.addEventListener("input", (event) => {
    const compare = event.target.closest(".compare");
    if (compare) compare.style.setProperty("--at", `${event.target.value}%`);
  });
  document.addEventListener("click", (event) => {
    if (event.target.classList.contains("clear")) clear(event.target.closest(".drop").dataset.role);
  });
  for (const kind of ["dragover", "drop"]) {
    document.addEventListener(kind, (event) => {
      event.preventDefault(); // a photo dropped beside the box must not replace the page
      const zone = event.target.closest(".drop");
      if (kind === "drop" && zone && event.dataTransfer.files.length) pick(zone.dataset.role, event.dataTransfer.files[0]);
    });
  }
  window.addEventListener("pagehide", () => forget(waiting));

  return { order, show };
})();
