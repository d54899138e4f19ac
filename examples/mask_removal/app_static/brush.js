// The hole as a layer over the photo: painted, erased, undone, and handed out as a picture, white on black.
window.brush = (() => {
  const MOST_STEPS = 12;
  const TINT = "rgb(220 60 60 / 0.55)";
  let photo = null, hole = null, first = null, steps = [], last = null;

  const canvas = () => document.getElementById("canvas");
  const copy = (source) => {
    const made = document.createElement("canvas");
    made.width = source.width;
    made.height = source.height;
    made.getContext("2d").drawImage(source, 0, 0);
    return made;
  };

  function draw() {
    const tinted = copy(hole);
    const layer = tinted.getContext("2d");
    layer.globalCompositeOperation = "source-in";
    layer.fillStyle = TINT;
    layer.fillRect(0, 0, tinted.width, tinted.height);
    const context = canvas().getContext("2d");
    context.drawImage(photo, 0, 0);
    context.drawImage(tinted, 0, 0);
  }

  async function load(photoBlob, holeBlob) {
    photo = await createImageBitmap(photoBlob);
    const shown = canvas();
    shown.width = photo.width;
    shown.height = photo.height;
    hole = copy(await createImageBitmap(holeBlob));
    const context = hole.getContext("2d");
    const pixels = context.getImageData(0, 0, hole.width, hole.height);
    for (let i = 0; i < pixels.data.length; i += 4) pixels.data[i + 3] = pixels.data[i]; // white is there, black is not
    context.putImageData(pixels, 0, 0);
    first = copy(hole);
    steps = [];
    draw();
  }

  function stroke(event) {
    if (!event.isPrimary) return; // a second finger would drag the stroke over to itself
    const box = canvas().getBoundingClientRect();
    const scale = hole.width / box.width;
    const point = [(event.clientX - box.left) * scale, (event.clientY - box.top) * scale];
    const context = hole.getContext("2d");
    const erase = document.querySelector('input[name="tool"]:checked').value === "erase";
    context.globalCompositeOperation = erase ? "destination-out" : "source-over";
    context.strokeStyle = "white";
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = document.getElementById("brush-size").value * scale;
    context.beginPath();
    context.moveTo(...(last || point));
    context.lineTo(...point);
    context.stroke();
    last = point;
    draw();
  }

  document.addEventListener("pointerdown", (event) => {
    if (event.target.id !== "canvas" || !hole || event.button !== 0 || !event.isPrimary) return;
    event.preventDefault();
    event.target.setPointerCapture(event.pointerId);
    steps = [...steps, copy(hole)].slice(-MOST_STEPS);
    last = null;
    stroke(event);
    event.target.onpointermove = stroke;
  });
  for (const end of ["pointerup", "pointercancel"]) {
    document.addEventListener(end, () => { if (canvas()) canvas().onpointermove = null; });
  }
  document.addEventListener("click", (event) => {
    if (!hole) return;
    if (event.target.id === "undo" && steps.length) hole = steps.pop();
    if (event.target.id === "reset") { steps.push(hole); hole = copy(first); }
    if (["undo", "reset"].includes(event.target.id)) draw();
  });

  async function picture() {
    const whole = copy(hole);
    const context = whole.getContext("2d");
    context.globalCompositeOperation = "destination-over";
    context.fillStyle = "black";
    context.fillRect(0, 0, whole.width, whole.height);
    const data = context.getImageData(0, 0, whole.width, whole.height).data;
    if (!data.some((value, i) => i % 4 === 0 && value > 127)) return null;
    return new Promise((resolve) => whole.toBlob(resolve, "image/png"));
  }

  function clear() { photo = hole = first = null; steps = []; }

  return { load, picture, clear };
})();
