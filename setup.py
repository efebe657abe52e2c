"""Installs the plugin and what torchreid needs but does not declare."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split("'")[1] for line in (HERE / 'paul_plugin/version.py').read_text().splitlines() if '__version__' in line
)
# What some of the tools need beyond training: plots, ONNX files, Parquet files, clusters
TOOLS = ['matplotlib', 'onnx', 'onnxruntime', 'onnxscript', 'pyarrow']

setup(
    name='paul-plugin',
    version=VERSION,
    author='The PAUL plugin authors',
    description='PAUL, patch-based unsupervised person re-identification, as a plugin of torchreid',
    long_description=(HERE / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    # The configs stay at the top of the repository; in a wheel they are a folder of the package.
    packages=[*find_packages(include=['paul_plugin', 'paul_plugin.*']), 'paul_plugin.configs'],
    package_dir={'': 'tools', 'paul_plugin': 'paul_plugin', 'paul_plugin.configs': 'configs'},
    package_data={'paul_plugin': ['py.typed'], 'paul_plugin.report': ['page.html'], 'paul_plugin.configs': ['*.yaml']},
    py_modules=['paul_command'],  # beside the package, as importing that imports torch
    entry_points={'console_scripts': ['paul = paul_command:main']},
    python_requires='>=3.10',
    classifiers=[
        'Development Status :: 4 - Beta',
        'Intended Audience :: Developers',
        'Intended Audience :: Science/Research',
        'Operating System :: POSIX :: Linux',
        # The versions on which tests were run
        *(f'Programming Language :: Python :: {version}' for version in ('3.10', '3.11', '3.13')),
        'Topic :: Scientific/Engineering :: Artificial Intelligence',
        'Topic :: Scientific/Engineering :: Image Recognition',
    ],
    install_requires=[
        'torch>=2.6',  # torch.load reads weights only
        'torchvision',
        'torchreid>=0.2.5',
        'yacs',
        'numpy',
        'pillow',
        'pyyaml',
        'tqdm',
        'jinja2',
        'gdown>=6.3',
        'safetensors',  # shared weights are opened by it, wherever training runs
        'tb-nightly',
        # torchreid imports these and does not declare them
        'scipy',
        'opencv-python-headless',
        'six',
        'h5py',
        'imageio',
    ],
    extras_require={
        'tools': TOOLS,
        'test': ['pytest', 'pytest-xdist', 'ruff', 'import-linter', 'mypy', 'scikit-learn', *TOOLS],
    },
)
