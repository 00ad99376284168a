from absl import app
def run(main): app.run(main)
