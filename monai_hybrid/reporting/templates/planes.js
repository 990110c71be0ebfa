"use strict";
// The three planes. Without WebGL 2 or without this script the slices below stay as they are.
const planes = (() => {
  const $ = (id) => document.getElementById(id), box = $("planes-box");
  if (!box) return null;
  const { labels, cases } = JSON.parse($("planes-data").textContent);
  const colours = { I: labels.map((l) => l.index), A: labels.map((l) => (l.index ? 255 : 0)), labels: labels.map(() => "") };
  ["R", "G", "B"].forEach((part, at) => { colours[part] = labels.map((l) => parseInt(l.colour.slice(1 + 2 * at, 3 + 2 * at), 16)); });
  const state = { nv: null, at: -1, turn: 0, masks: {} };

  const supported = () => { try { return Boolean(document.createElement("canvas").getContext("webgl2")) && Boolean(window.DecompressionStream); } catch { return false; } };
  const bytes = (text) => Uint8Array.from(atob(text), (sign) => sign.charCodeAt(0));
  const unpacked = async (text) => new Uint8Array(await new Response(new Blob([bytes(text)]).stream().pipeThrough(new DecompressionStream("gzip"))).arrayBuffer());
  const volume = (text, name) => {
    const file = new File([bytes(text)], `${name}.nii.gz`);
    return window.niivue.NVImage.loadFromFile({ file, name: file.name });
  };

  async function viewer() {
    const address = URL.createObjectURL(new Blob([await unpacked($("niivue").textContent)], { type: "text/javascript" }));
    await new Promise((done, failed) => document.head.append(Object.assign(document.createElement("script"), { src: address, onload: done, onerror: failed })));
    URL.revokeObjectURL(address);
    const nv = new window.niivue.Niivue({
      backColor: [0, 0, 0, 1], crosshairColor: [1, 1, 1, 0.6], crosshairWidthUnit: "percent", dragAndDropEnabled: false, isColorbar: false,
      loadingText: "", logLevel: "error", multiplanarShowRender: 0, isRadiologicalConvention: true, sagittalNoseLeft: true, showAllOrientationMarkers: true, fontColor: [1, 1, 1, 1],
    });
    await nv.attachToCanvas($("planes-canvas"));
    nv.onLocationChange = (place) => told(place.vox.map(Math.round));
    return nv;
  }

  async function open(number) {
    const one = cases[number], turn = ++state.turn;
    state.at = number;
    $("planes-case").value = String(number);
    $("planes-previous").disabled = number === 0;
    $("planes-next").disabled = number === cases.length - 1;
    $("planes-why").textContent = one.why;
    $("planes-busy").hidden = false;
    box.dataset.ready = "no";
    try {
      state.nv = state.nv || await viewer();
      const [image, prediction, reference] = await Promise.all([volume(one.image, "image"), volume(one.prediction, "prediction"), one.reference ? unpacked(one.reference) : null]);
      if (turn === state.turn) show(one, image, prediction, reference);
    } catch (problem) {
      box.hidden = true;
      $("planes-none").hidden = false;
      window.console.warn(problem);
    }
    if (turn === state.turn) { $("planes-busy").hidden = true; box.dataset.ready = "yes"; }
  }

  function show(one, image, prediction, reference) {
    const { nv } = state;
    while (nv.volumes.length) nv.removeVolume(nv.volumes[nv.volumes.length - 1]);
    nv.closeDrawing();
    image.cal_min = 0;
    image.cal_max = 255;
    nv.addVolume(image);
    prediction.setColormapLabel(colours);
    nv.addVolume(prediction);
    state.masks = { prediction: prediction.img, reference };
    if (reference) {
      nv.createEmptyDrawing();
      nv.drawBitmap.set(reference);
      nv.setDrawColormap(colours);
      nv.refreshDrawing(false);
    }
    nv.opts.isOrientationTextVisible = one.oriented;
    nv.opts.crosshairWidth = Math.max(0.35, 300 / nv.canvas.clientWidth); // of the volume's width: more than a pixel, so that no plane lacks it
    nv.scene.crosshairPos = centre(one, reference || prediction.img);
    slid();
    seen();
    placed();
  }

  // The middle of the slice in which the mask is largest.
  function centre({ shape: [width, height, depth] }, mask) {
    const areas = new Array(depth).fill(0), at = [width / 2, height / 2, Math.floor(depth / 2)];
    for (let i = 0; i < mask.length; i++) if (mask[i]) areas[Math.floor(i / (width * height))]++;
    const most = Math.max(...areas);
    if (most) {
      at[2] = areas.indexOf(most);
      let [x, y] = [0, 0];
      for (let i = 0; i < width * height; i++) if (mask[at[2] * width * height + i]) { x += i % width; y += Math.floor(i / width); }
      [at[0], at[1]] = [Math.round(x / most), Math.round(y / most)];
    }
    return [(at[0] + 0.5) / width, (at[1] + 0.5) / height, (at[2] + 0.5) / depth];
  }

  const axes = ["x", "y", "z"];

  function slid() {
    const share = (id) => Number($(id).value) / 100;
    state.nv.setOpacity(1, share("planes-mask"));
    state.nv.drawOpacity = 0.004; // the outline alone is seen
    state.nv.drawRimOpacity = $("planes-outline") ? share("planes-outline") : 0;
    state.nv.drawScene();
  }

  function seen() {
    const kinds = { three: state.nv.sliceTypeMultiplanar, axial: state.nv.sliceTypeAxial, coronal: state.nv.sliceTypeCoronal, sagittal: state.nv.sliceTypeSagittal };
    state.nv.setSliceType(kinds[$("planes-view").value]);
  }

  // Sliders follow the crosshair, and the crosshair the sliders: the same for mouse, keyboard and screen reader.
  function placed() {
    const { shape } = cases[state.at], at = state.nv.scene.crosshairPos;
    told(shape.map((size, axis) => Math.min(size - 1, Math.floor(at[axis] * size))));
  }

  function told(voxel) {
    const { shape, spacing, unit, oriented, reference } = cases[state.at];
    const index = voxel[0] + shape[0] * (voxel[1] + shape[1] * voxel[2]);
    const named = (mask) => labels[mask[index]]?.name || "unknown";
    const here = `prediction: ${named(state.masks.prediction)}` + (reference ? `, reference: ${named(state.masks.reference)}` : "");
    const names = oriented ? ["left to right", "back to front", "foot to head"] : ["first axis", "second axis", "third axis"];
    axes.forEach((axis, number) => {
      const slider = $(`planes-${axis}`);
      slider.max = shape[number] - 1;
      slider.value = voxel[number];
      slider.setAttribute("aria-valuetext", `slice ${voxel[number] + 1} of ${shape[number]}; ${here}`);
      $(`planes-${axis}-name`).textContent = names[number];
    });
    const lengths = spacing.map((length) => Number(length.toPrecision(3))).join(" \u00d7 ");
    $("planes-told").textContent = `Slices ${voxel.map((v, number) => `${v + 1} of ${shape[number]}`).join(", ")}. At the crosshair: ${here}. Voxel: ${unit === "mm" ? `${lengths} mm` : `${lengths} of the file`}.`;
  }

  function moved() {
    const { shape } = cases[state.at];
    state.nv.scene.crosshairPos = axes.map((axis, number) => (Number($(`planes-${axis}`).value) + 0.5) / shape[number]);
    state.nv.drawScene();
    placed();
  }

  const step = (by) => { if (cases[state.at + by]) open(state.at + by); };

  function keyed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const moves = { ArrowLeft: ["x", 1], ArrowRight: ["x", -1], ArrowUp: ["y", 1], ArrowDown: ["y", -1], PageUp: ["z", 1], PageDown: ["z", -1] };
    const key = event.key.length > 1 ? event.key : event.key.toLowerCase();
    event.stopImmediatePropagation(); // the viewer's own keys are not those of this page
    if (key === "n" || key === "p") return step(key === "n" ? 1 : -1);
    if (!(key in moves) || !state.nv) return;
    event.preventDefault();
    const [axis, by] = moves[key], slider = $(`planes-${axis}`);
    slider.value = Number(slider.value) + by;
    moved();
  }

  function begin() {
    $("planes-case").addEventListener("change", (event) => open(Number(event.target.value)));
    $("planes-previous").addEventListener("click", () => step(-1));
    $("planes-next").addEventListener("click", () => step(1));
    $("planes-view").addEventListener("change", seen);
    for (const id of ["planes-mask", "planes-outline"]) $(id)?.addEventListener("input", () => state.nv && slid());
    for (const axis of axes) $(`planes-${axis}`).addEventListener("input", () => state.nv && moved());
    $("planes-canvas").addEventListener("keydown", keyed, true);
    box.hidden = false;
    $("planes-none").hidden = true;
    const watcher = new IntersectionObserver((entries) => {
      if (entries.some((entry) => entry.isIntersecting)) { watcher.disconnect(); open(0); }
    }, { rootMargin: "300px" });
    watcher.observe(box);
  }

  if (supported()) begin();
  return { state, open };
})();
