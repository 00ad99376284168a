def change_speed(wave, speed):
    return wave


def add_noise(*a):
    pass


def apply_gain(w, *a):
    return w


def generate_noise(*a):
    pass
