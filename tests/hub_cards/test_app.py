"""The demo's page in a real browser: upload, click, look at the result."""

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from anomaly_demo import example_clips

pytest.importorskip("gradio", reason="the page needs gradio: pip install gradio")
NEEDS_SELENIUM = "the page is tested through selenium: pip install selenium"
webdriver = pytest.importorskip("selenium.webdriver", reason=NEEDS_SELENIUM)
exceptions = pytest.importorskip("selenium.common.exceptions", reason=NEEDS_SELENIUM)
ui = pytest.importorskip("selenium.webdriver.support.ui", reason=NEEDS_SELENIUM)

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="chromium and chromedriver are not installed: apt-get install chromium chromium-driver",
    ),
]
SECONDS = 60


@pytest.fixture(scope="module")
def address(demo_folder, encoder_folder, tmp_path_factory):
    """Starts `python app.py` as the README says, from another directory."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "RETAINMIX_MODEL": str(encoder_folder),
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_TEMP_DIR": str(tmp_path_factory.mktemp("gradio")),
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
    folder = tmp_path_factory.mktemp("run")
    with open(folder / "log.txt", "w") as log:
        process = subprocess.Popen(
            [sys.executable, str(demo_folder / "app.py")], cwd=folder, env=environment, stdout=log, stderr=log
        )
    url = f"http://127.0.0.1:{port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        deadline = time.monotonic() + 2 * SECONDS
        while True:
            try:
                opener.open(url, timeout=5).close()
                break
            except OSError:
                running = process.poll() is None and time.monotonic() < deadline
                assert running, (folder / "log.txt").read_text()
                time.sleep(0.5)
        yield url
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def browser(address):
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1400,1500"):
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    try:
        driver.get(address)
        ui.WebDriverWait(driver, SECONDS).until(lambda _: driver.find_elements("id", "score"))
        yield driver
    finally:
        driver.quit()


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    references, test = example_clips("cooling_fan", "rub", tmp_path_factory.mktemp("clips"))
    return references[:3], test


def upload(browser, element_id: str, paths: list[str]) -> None:
    browser.find_element("css selector", f"#{element_id} input[type=file]").send_keys("\n".join(paths))


def wait(browser, condition):
    waiting = ui.WebDriverWait(browser, SECONDS, ignored_exceptions=[exceptions.StaleElementReferenceException])
    return waiting.until(lambda _: condition())


def text(browser, selector: str) -> str:
    return " ".join(element.text for element in browser.find_elements("css selector", selector))


def picture(browser):
    """The picture, once the browser has decoded it."""
    for image in browser.find_elements("css selector", "#pictures img"):
        if browser.execute_script("return arguments[0].naturalWidth", image) > 300:
            return image
    return None


def upload_and_score(browser, references: list[str], test: str) -> None:
    upload(browser, "references", references)
    wait(browser, lambda: Path(references[-1]).stem in text(browser, "#references").replace("\n", ""))
    upload(browser, "test", [test])
    wait(browser, lambda: browser.find_elements("css selector", "#test #waveform, #test audio"))
    browser.find_element("id", "score").click()


def test_uploaded_clips_are_scored_and_shown(browser, clips):
    upload_and_score(browser, *clips)
    wait(browser, lambda: "threshold" in text(browser, "#summary"))
    assert "3 references are too few for a false-alarm rate below 25%" in text(browser, "#summary")
    assert wait(browser, lambda: picture(browser)).is_displayed()


def test_synthetic_clips_are_taken_by_a_click_and_scored(browser):
    browser.find_element("id", "example").click()
    wait(browser, lambda: "cooling_fan_reference" in text(browser, "#references"))
    wait(browser, lambda: browser.find_elements("css selector", "#test #waveform, #test audio"))
    browser.find_element("id", "score").click()
    wait(browser, lambda: "threshold" in text(browser, "#summary"))
    assert wait(browser, lambda: picture(browser))


@pytest.mark.parametrize("place", ["references", "test"])
def test_when_a_file_is_broken_then_the_page_says_which(browser, clips, tmp_path, place):
    broken = tmp_path / "broken.wav"
    broken.write_bytes(b"this is no sound")
    references, test = clips
    if place == "references":
        upload_and_score(browser, [*references, str(broken)], test)
    else:
        upload_and_score(browser, references, str(broken))
    wait(browser, lambda: "broken.wav cannot be decoded" in text(browser, "body"))
    assert "threshold" not in text(browser, "#summary") and picture(browser) is None


def test_when_nothing_is_uploaded_then_the_page_asks_for_it(browser):
    browser.find_element("id", "score").click()
    wait(browser, lambda: "add at least three reference clips" in text(browser, "body"))
